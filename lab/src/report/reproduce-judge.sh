
writer_prints >"$keep/written.save" 2>"$work/said" || cannot "the writer cannot print what it wrote"
listing nft-before.txt

# The reader saves, and restores just that.
reader "$IPTABLES-save" >"$keep/read.save" 2>"$work/said"
saved=$?
cat "$work/said" >&2
restored=0
if [ "$saved" -eq 0 ]; then
  reader "$IPTABLES-restore" <"$keep/read.save"
  restored=$?
fi
backtrace "$saved" /dev/null "$IPTABLES-save"
backtrace "$restored" "$keep/read.save" "$IPTABLES-restore"
writer_prints >"$keep/after.save"
again=$?
listing nft-after.txt

dies() { [ "$1" -gt 128 ] && [ "$1" -ne 137 ]; }
hangs() { [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; }
if dies "$saved" || dies "$restored"; then
  [ "$LOSS_KIND" = crashed ] && lost
  cannot "the reader dies"
fi
if hangs "$saved" || hangs "$restored"; then
  [ "$LOSS_KIND" = timed-out ] && lost
  cannot "the reader hangs"
fi
if [ "$saved" -ne 0 ] || incompatible "$keep/read.save"; then
  [ "$LOSS_KIND" = refused ] && lost
  cannot "the reader cannot print the table"
fi
if [ "$restored" -ne 0 ]; then
  [ "$LOSS_KIND" = unrestorable ] && lost
  cannot "the reader refuses what it printed itself"
fi
if [ "$again" -ne 0 ] || incompatible "$keep/after.save"; then
  [ "$LOSS_KIND" = unreadable ] && lost
  cannot "the writer cannot print what the reader restored"
fi
written=$(rules "$keep/written.save") read=$(rules "$keep/read.save") after=$(rules "$keep/after.save")
# What a print says of the chain: its policy, where it hangs, how many rules are in it. One that accepts all is as none.
chain() {
  awk -v chain="$CHAIN" '
    $1 == ":" chain && $2 != "ACCEPT" { print $1, $2 }
    $1 == "-A" && $2 == chain { rules++ }
    inside && $1 == "}" { inside = 0 }
    inside && $1 == "type" { print; next }
    inside { rules++ }
    $1 == "chain" && $2 == chain { inside = 1; print $1, $2 }
    END { print rules + 0 }' "$1"
}
# How many expressions of a kind the kernel held.
expressions() { grep -c "^ *\[ $1 " "$keep/$2"; }
case $LOSS_KIND in
  chain) [ "$(chain "$keep/after.save")" != "$(chain "$keep/written.save")" ] && lost ;;
  lossy | changed)
    if [ -n "$LOST_EXPRESSIONS" ]; then
      for expression in $LOST_EXPRESSIONS; do
        [ "$(expressions "$expression" nft-after.txt)" -ge "$(expressions "$expression" nft-before.txt)" ] || lost
      done
    elif [ "$LOSS_KIND" = changed ] || [ "$WRITER_PROGRAM" = nft ] || [ "$read" != "$written" ]; then
      # Another print alone may be another wording; another rule in the kernel alone may be the writer's misreading.
      [ "$after" != "$written" ] && lost
    fi ;;
  misread) [ "$after" != "$written" ] && lost ;;
esac
gone
