
writer_prints >"$keep/written.save" || cannot "the writer cannot print what it wrote"
listing nft-before.txt

# The reader deletes the rule.
deletes
echo "-D ends with exit status $?"
writer_prints >"$keep/after.save" || cannot "the writer cannot print what the reader left"
listing nft-after.txt

# What the writer printed, without the rule that was to go.
awk -v table="*$TABLE" -v chain="$CHAIN" -v index_of="$INDEX" '
  /^\*/ { inside = $1 == table }
  $1 == "-A" && inside && $2 == chain && ++rules == index_of { next }
  { print }' "$keep/written.save" >"$keep/asked.save"
written=$(rules "$keep/written.save") asked=$(rules "$keep/asked.save") after=$(rules "$keep/after.save")
case $LOSS_KIND in
  wrong-rule) [ "$after" = "$asked" ] || [ "$after" = "$written" ] || lost ;;
  not-deleted)
    [ "$after" = "$asked" ] || [ "$after" = "$written" ] || cannot "the reader deletes another rule"
    [ "$after" != "$written" ] || lost ;;
esac
gone
