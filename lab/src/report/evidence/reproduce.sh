# Exit status: 1 while the loss is there, 0 when it is gone, 125 when it cannot be tried (what `git bisect run` skips).
#
#   WRITER=… READER=… ./reproduce.sh      or      ./reproduce.sh WRITER READER
#
# WRITER and READER each are one of these:
#   /path/to/xtables-nft-multi   a multi-call binary (or an nft, where nft writes or reads)
#   /path/to/iptables            a source tree of iptables that was built (in it: iptables/xtables-nft-multi), or of nftables (src/nft)
#   /path/to/rootfs              a root filesystem that holds the program, as a folder or as a tar
#   image:REFERENCE              a container image that holds the program (it takes Docker)
# To find the commit that brought it, in the source tree of the writer (READER= where it is the reader that changed):
#   git bisect start BAD GOOD
#   READER=/path/to/READER_PROGRAM git bisect run sh -c 'COMPILE_WRITER \
#     || exit 125; WRITER=$PWD sh /path/to/reproduce.sh'
# To find the commit that fixed it: FIND=fix exchanges the exit statuses 0 and 1.
#   git bisect start --term-old=broken --term-new=fixed FIXED BROKEN
#   WRITER=/path/to/WRITER_PROGRAM FIND=fix git bisect run sh -c '… || exit 125; READER=$PWD sh /path/to/reproduce.sh'
# KEEP=FOLDER keeps what was printed there. The script makes a network namespace of its own: it reads and writes no rule of
# this machine. Without root it needs user namespaces.
set -u

# Without two builds there is nothing to run: this script's head says how they are named.
if [ -z "$WRITER" ] || [ -z "$READER" ]; then
  sed -n -e 1d -e '/^[^#]/q' -e 's/^#//' -e 's/^ //' -e p "$0" >&2
  exit 125
fi

cannot() {
  echo "cannot be tried: $*" >&2
  exit 125
}

# kind PLACE PROGRAM: what kind of thing a build was named by: image, file, tree, root or tar.
kind() {
  case $1 in
    image:*) echo image ;;
    *)
      if [ -f "$1/iptables/$2" ] || [ -f "$1/src/$2" ]; then echo tree
      elif [ -d "$1" ]; then echo root
      elif [ -f "$1" ] && [ -x "$1" ]; then echo file
      elif [ -f "$1" ]; then echo tar
      else echo none; fi ;;
  esac
}

WRITER_KIND=$(kind "$WRITER" "$WRITER_PROGRAM")
READER_KIND=$(kind "$READER" "$READER_PROGRAM")
[ "$WRITER_KIND" != none ] || cannot "there is no $WRITER"
[ "$READER_KIND" != none ] || cannot "there is no $READER"

# A network namespace of its own, and a mount namespace for what is mounted below; a container has one already.
uses_docker() { [ "$WRITER_KIND" = image ] || [ "$READER_KIND" = image ]; }
if [ -z "${REPRODUCE_INSIDE:-}" ]; then
  unshare='unshare -n -m'
  uses_docker && unshare='unshare -m'
  [ "$(id -u)" = 0 ] || unshare="$unshare -r"
  $unshare true 2>/dev/null || {
    uses_docker || cannot "no network namespace can be made here ($unshare)"
    unshare=
  }
  export REPRODUCE_INSIDE=1 WRITER READER
  exec $unshare sh "$0"
fi

work=$(mktemp -d) || cannot "no temporary folder can be made"
holder=
trap 'umount "$work"/*/proc 2>/dev/null; rm -rf "$work"; [ -z "$holder" ] || docker rm -f "$holder" >/dev/null 2>&1' EXIT
trap 'exit 125' HUP INT TERM
keep=${KEEP:-$work}
mkdir -p "$keep" || cannot "$keep cannot be made"

# Words as a shell takes them again.
quoted() {
  for word in "$@"; do printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")"; done
}

# Where a program lies in a root filesystem.
find_program() {
  for folder in usr/sbin sbin usr/local/sbin; do
    [ ! -e "$1/$folder/$2" ] || { echo "/$folder/$2"; return; }
  done
}

# ready NAME KIND PLACE PROGRAM: sets NAME_RUN to the command that stands before a program's name and arguments.
ready() {
  name=$1 kind=$2 place=$3 program=$4
  case $kind in
    tar)
      mkdir "$work/$name"
      tar -xf "$place" -C "$work/$name" --no-same-owner || cannot "$place cannot be unpacked"
      place=$work/$name kind=root ;;
  esac
  case $kind in
    file) command=$(quoted "$place") ;;
    tree)
      case $program in
        nft) command=$(quoted "$place/src/nft") ;;
        *) command="env$(quoted "XTABLES_LIBDIR=$place/extensions" "$place/iptables/$program")" ;;
      esac ;;
    root)
      found=$(find_program "$place" "$program")
      [ -n "$found" ] || cannot "$place holds no $program"
      [ ! -d "$place/proc" ] || mount -t proc proc "$place/proc" 2>/dev/null
      command="chroot$(quoted "$place") $found" ;;
    image)
      image=${place#image:}
      image=$(docker images -q "$image" 2>/dev/null | head -n 1)
      [ -n "$image" ] || image=${place#image:}
      [ -n "$holder" ] || {
        start="docker run -di --rm --network none"
        holder=$($start --entrypoint sleep "$image" 600 2>/dev/null) || holder=$($start "$image" 2>/dev/null) ||
          cannot "no container of $image can be started"
      }
      command="docker run --rm -i --network container:$holder --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW"
      command="$command --entrypoint $program $image" ;;
  esac
  # Another's program must come into the container's namespace.
  if [ "$kind" != image ] && uses_docker; then
    command="nsenter -n -t $(docker inspect -f '{{.State.Pid}}' "$holder") $command"
  fi
  eval "${name}_RUN=\$command ${name}_PLACE=\$place"
}

# The container whose namespace all share comes first.
[ "$WRITER_KIND" = image ] || [ "$READER_KIND" != image ] || ready READER "$READER_KIND" "$READER" "$READER_PROGRAM"
ready WRITER "$WRITER_KIND" "$WRITER" "$WRITER_PROGRAM"
[ -n "${READER_RUN:-}" ] || ready READER "$READER_KIND" "$READER" "$READER_PROGRAM"
limit=
command -v timeout >/dev/null && limit="timeout -k 1 20"
# The first word is the program's name: a multi-call binary takes it as its first argument, nft has no other.
writer() {
  [ "$WRITER_PROGRAM" != nft ] || shift
  eval "LC_ALL=C $limit $WRITER_RUN$(quoted "$@")"
}
reader() {
  [ "$READER_PROGRAM" != nft ] || shift
  eval "LC_ALL=C $limit $READER_RUN$(quoted "$@")"
}

# What the writer or the reader prints of all rules.
prints() {
  case $1:$WRITER_PROGRAM:$READER_PROGRAM in
    writer:nft:* | reader:*:nft) "$1" nft -s list ruleset ;;
    *) "$1" "$IPTABLES-save" ;;
  esac
}
writer_prints() { prints writer; }
# What one of them printed, in the place of all that is there; --noflush leaves others' chains.
restores() {
  case $1:$WRITER_PROGRAM:$READER_PROGRAM in
    writer:nft:* | reader:*:nft) { echo flush ruleset; cat "$2"; } | "$1" nft -f - ;;
    *) "$1" "$IPTABLES-restore" ${3:+"$3"} <"$2" ;;
  esac
}

writer "$WRITER_NAME" --version >/dev/null 2>&1 || cannot "$WRITER does not run"
reader "$READER_NAME" --version >/dev/null 2>&1 || cannot "$READER does not run"
echo "writer: $(writer "$WRITER_NAME" --version)"
echo "reader: $(reader "$READER_NAME" --version)"

# The rules of a print, without what changes from run to run; of nft's own, without the counters that iptables adds.
rules() {
  if grep -q '^table ' "$1"; then
    sed -e '/^#/d' -e 's/ counter\( packets [0-9]* bytes [0-9]*\)*//' "$1"
    return
  fi
  [ "$SEEN_AT" != chain ] || sed -n -e 's/ \[[0-9:]*\]$//' -e '/^:/p' "$1"
  sed -n -e 's/^\[[0-9:]*\] //' -e 's/[[:blank:]]*$//' -e '/^-A /p' "$1"
}
incompatible() { grep -q 'is incompatible' "$1"; }
listing() {
  if [ "$WRITER_PROGRAM" = nft ]; then writer nft --debug=netlink list ruleset >"$keep/$1" 2>&1
  elif command -v nft >/dev/null && ! uses_docker; then nft --debug=netlink list ruleset >"$keep/$1" 2>&1; fi
  return 0
}
there=1 away=0
[ "${FIND:-loss}" != fix ] || { there=0 away=1; }
lost() {
  echo "the loss is there: $LOSS"
  for text in written read after; do
    [ ! -s "$keep/$text.save" ] || { echo "--- $text"; rules "$keep/$text.save"; }
  done
  exit $there
}
gone() {
  echo "the loss is gone"
  exit $away
}
# What gdb says of a command of the reader's that died, where gdb is at hand.
backtrace() {
  [ "$1" -gt 128 ] && [ "$1" -ne 137 ] || return 0
  input=$2
  shift 2
  [ "$READER_PROGRAM" != nft ] || shift
  steps="-ex run"
  # What runs at first is env or chroot; a root filesystem's libraries are not this machine's.
  case $READER_KIND in
    tree) steps="-ex 'tcatch exec' -ex run -ex continue" ;;
    root | tar) steps="-ex 'tcatch exec' -ex run -ex$(quoted "set sysroot $READER_PLACE") -ex continue" ;;
  esac
  if command -v gdb >/dev/null && ! uses_docker; then
    eval "LC_ALL=C $limit gdb -nx -batch $steps -ex bt -ex 'info registers' -ex 'x/3i \$pc' --args $READER_RUN$(quoted "$@")" \
      <"$input" >"$keep/backtrace.txt" 2>&1
  fi
  return 0
}

