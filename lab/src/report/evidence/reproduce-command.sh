
listing nft-before.txt
# The reader looks at the rules.
try() {
  "$@"
  status=$?
  shift
  backtrace "$status" /dev/null "$@"
  case $LOSS_KIND in
    crashed) [ "$status" -le 128 ] || [ "$status" -eq 137 ] || lost ;;
    timed-out) [ "$status" -ne 124 ] && [ "$status" -ne 137 ] || lost ;;
    refused) [ "$status" -eq 0 ] || lost ;;
  esac
}
