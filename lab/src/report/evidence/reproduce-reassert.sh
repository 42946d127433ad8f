
writer_prints >"$keep/after.save" || cannot "the writer cannot print what is there afterwards"
reader "$IPTABLES-save" >"$keep/read.save" || cannot "the reader cannot print what it wrote"
listing nft-after.txt
if [ -n "$refused" ]; then
  [ "$LOSS_KIND" = refused ] && lost
  cannot "the reader does not take the rules"
fi
case $LOSS_KIND in
  changed) [ "$(rules "$keep/after.save")" = "$(rules "$keep/written.save")" ] || lost ;;
  doubled)
    [ "$(rules "$keep/after.save")" = "$(rules "$keep/written.save")" ] || cannot "the writer's rules are others now"
    [ "$(rules "$keep/read.save" | grep -c "^-A $CHAIN ")" -lt "$RULES" ] || lost ;;
esac
gone
