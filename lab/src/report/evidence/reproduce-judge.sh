
writer_prints >"$keep/written.save" 2>"$work/said" || cannot "the writer cannot print what it wrote"
listing nft-before.txt

# What a component adds to what it saved: in each table a chain of its own, and a jump there.
with_own_chain() {
  awk -v own="$OWN_CHAIN" -v hooks="$HOOKS" '
    BEGIN { tables = split(hooks, of, " "); for (i in of) { split(of[i], part, ":"); hook[part[1]] = part[2] } }
    /^\*/ { table = substr($1, 2); wanted = (table in hook) && !(table in done) }
    $1 == "COMMIT" && wanted { print "-A " hook[table] " -j " own; done[table] = 1; wanted = 0 }
    { print }
    /^\*/ && wanted { print ":" own " - [0:0]" }
    END {
      for (i = 1; i <= tables; i++) {
        split(of[i], part, ":")
        if (!(part[1] in done)) print "*" part[1] "\n:" own " - [0:0]\n-A " part[2] " -j " own "\nCOMMIT"
      }
    }' "$1"
}
# What a component restores with --noflush: the chains that it owns, and that chain.
only_own_chains() {
  awk -v own="$OWN_CHAIN" -v hooks="$HOOKS" -v owned="$OWNED" '
    BEGIN { tables = split(hooks, of, " "); split(owned, names, " "); for (i in names) owns[names[i]] = 1 }
    /^\*/ { table = substr($1, 2) }
    /^:/ && (substr($1, 2) in owns) { chains[table] = chains[table] $1 " - [0:0]\n" }
    $1 == "-A" && ($2 in owns) { rules[table] = rules[table] $0 "\n" }
    END {
      for (i = 1; i <= tables; i++) {
        split(of[i], part, ":")
        print "*" part[1] "\n:" own " - [0:0]"
        printf "%s%s", chains[part[1]], rules[part[1]]
        print "-A " part[2] " -j " own "\nCOMMIT"
      }
    }' "$1"
}
# A print without that chain and the jump.
without_own_chain() {
  sed -e "/^-A .* -j $OWN_CHAIN\$/d" -e "/^:$OWN_CHAIN /d" -e "/jump $OWN_CHAIN\$/d" -e "/chain $OWN_CHAIN {/,/}/d"
}

# The reader saves, and restores that.
prints reader >"$keep/read.save" 2>"$work/said"
saved=$?
cat "$work/said" >&2
noflush=
case $OPERATION in
  sync) with_own_chain "$keep/read.save" >"$keep/restored.save" ;;
  sync-noflush) only_own_chains "$keep/read.save" >"$keep/restored.save"; noflush=--noflush ;;
  *) cp "$keep/read.save" "$keep/restored.save" ;;
esac
restored=0
# What nft listed is loaded whatever its exit status was, as scripts do.
goes_on() {
  [ "$READER_PROGRAM" = nft ] || return 1
  case $LOSS_KIND in changed | lossy) return 0 ;; esac
  return 1
}
if [ "$saved" -eq 0 ] || goes_on; then
  restores reader "$keep/restored.save" $noflush
  restored=$?
fi
case $READER_PROGRAM in
  nft)
    backtrace "$saved" /dev/null nft -s list ruleset
    backtrace "$restored" "$keep/restored.save" nft -f - ;;
  *)
    backtrace "$saved" /dev/null "$IPTABLES-save"
    backtrace "$restored" "$keep/restored.save" "$IPTABLES-restore" ;;
esac
if [ "$LOSS_KIND" = drifts ]; then
  # Both go on in turn, until one of them cannot.
  turn() { prints "$1" >"$work/turn" && restores "$1" "$work/turn"; }
  for who in writer reader writer reader writer reader writer; do turn "$who" || break; done
fi
writer_prints >"$work/all"
again=$?
if [ -n "$OWN_CHAIN" ]; then without_own_chain <"$work/all" >"$keep/after.save"; else cp "$work/all" "$keep/after.save"; fi
listing nft-after.txt

dies() { [ "$1" -gt 128 ] && [ "$1" -ne 137 ]; }
hangs() { [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; }
if dies "$saved" || dies "$restored"; then
  [ "$LOSS_KIND" = crashed ] && lost
  dies "$restored" && [ "$LOSS_KIND" = unrestorable ] && lost
  goes_on || cannot "the reader dies"
fi
if hangs "$saved" || hangs "$restored"; then
  [ "$LOSS_KIND" = timed-out ] && lost
  cannot "the reader hangs"
fi
# A reader that refuses loses nothing without a word. What others would make of its restore cannot be tried then.
refuses() {
  case $LOSS_KIND in
    refused | unrestorable | misread | unreadable | drifts) cannot "$1" ;;
  esac
  echo "$1, and says so: nothing is lost without a word" >&2
  gone
}
# Up to 1.8.8 a save that leaves a table out says so in a comment alone, so a component adds its chain to what is left.
left_out() { { [ -z "$OWN_CHAIN" ] || [ "$LOSS_KIND" = refused ]; } && incompatible "$keep/read.save"; }
if { [ "$saved" -ne 0 ] && ! goes_on; } || left_out; then
  [ "$LOSS_KIND" = refused ] && lost
  refuses "the reader cannot print the table"
fi
if [ "$restored" -ne 0 ]; then
  [ "$LOSS_KIND" = unrestorable ] && lost
  refuses "the reader refuses what it printed itself"
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
# Whether the reader too prints something else than before; of a table that it left out it cannot.
reader_prints_another() {
  incompatible "$keep/read.save" && return 0
  prints reader >"$work/all" || return 0
  if [ -n "$OWN_CHAIN" ]; then without_own_chain <"$work/all" >"$work/turn"; else cp "$work/all" "$work/turn"; fi
  [ "$(rules "$work/turn")" != "$read" ]
}
case $SEEN_AT:$LOSS_KIND in
  chain:*) [ "$(chain "$keep/after.save")" != "$(chain "$keep/written.save")" ] && lost ;;
  *:lossy | *:changed | *:sync | *:sync-noflush | *:drifts)
    if [ -n "$LOST_EXPRESSIONS" ]; then
      for expression in $LOST_EXPRESSIONS; do
        [ "$(expressions "$expression" nft-after.txt)" -ge "$(expressions "$expression" nft-before.txt)" ] || lost
      done
    elif [ "$after" != "$written" ]; then
      # Another print alone may be another wording, or the writer's misreading.
      case $LOSS_KIND in
        changed) [ "$WRITER_PROGRAM" = nft ] || [ "$read" != "$written" ] || reader_prints_another && lost ;;
        lossy) [ "$WRITER_PROGRAM" = nft ] || [ "$read" != "$written" ] && lost ;;
        *)
          # What a plain rewrite loses, too, the reader loses when it prints.
          [ -z "$SPARES_REWRITE" ] && [ "$read" != "$written" ] && lost
          [ "$WRITER_PROGRAM" = nft ] || reader_prints_another && lost ;;
      esac
    fi ;;
  *:misread) [ "$after" != "$written" ] && lost ;;
esac
gone
