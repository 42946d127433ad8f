
writer "$IPTABLES-save" >"$keep/written.save" 2>"$work/said" || cannot "the writer cannot print what it wrote"
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
writer "$IPTABLES-save" >"$keep/after.save"
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
case $LOSS_KIND in
  # Another print alone may be another wording; another rule in the kernel alone may be the writer's misreading.
  lossy) [ "$read" != "$written" ] && [ "$after" != "$written" ] && lost ;;
  changed | misread) [ "$after" != "$written" ] && lost ;;
esac
gone
