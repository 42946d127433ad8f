#!/bin/sh
# Compiles one iptables source tree inside the toolchain and leaves what is needed at run time in /build/out.
#
# The source lies unpacked in /build/source. LINKAGE is `static` or `shared`, EXTRA_CFLAGS holds what its version needs
# beside the usual, JOBS how many commands make runs at a time. Paths are fixed and no time is kept, so that the same
# input gives the same bytes.
set -eu

export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0
umask 022
cd /build/source

# A tree from git has no configure yet; a release tarball has one, and its own is used. The tools are called by their
# versioned names, because the plain ones are links that a maintainer script would have made.
if [ ! -x ./configure ]; then
    ACLOCAL=$(echo /usr/bin/aclocal-*) AUTOMAKE=$(echo /usr/bin/automake-*) sh ./autogen.sh
fi

case $LINKAGE in
static) linkage='--enable-static --disable-shared' ldflags=-all-static ;;
shared) linkage='--enable-shared --disable-static' ldflags= ;;
esac

# Connlabel needs a library that cannot be linked statically; everything else is in.
# The linkage is two words by design.
# shellcheck disable=SC2086
CFLAGS="-O2 ${EXTRA_CFLAGS:-}" ./configure \
    --build="$(gcc -dumpmachine)" \
    --prefix=/usr --sbindir=/usr/sbin --sysconfdir=/etc --localstatedir=/var --with-xtlibdir=/usr/lib/xtables \
    $linkage --disable-connlabel

make -j"${JOBS:-1}" LDFLAGS=$ldflags
make install DESTDIR=/build/install LDFLAGS=$ldflags

# The multi-call binaries and the links that lead to them: nothing else is read or run in a lane.
mkdir -p /build/out/usr/sbin
cd /build/install/usr/sbin
for file in *; do
    case "$(readlink -f "$file")" in
    */xtables-nft-multi | */xtables-legacy-multi) cp -P "$file" /build/out/usr/sbin/ ;;
    esac
done
strip --strip-all /build/out/usr/sbin/xtables-*-multi
[ "$LINKAGE" = shared ] || exit 0

# The extensions, and what the loader loads with them and the binaries: libraries under the name that is asked for, where
# the loader looks without a cache. There is no ldd; the loader itself lists what it would load.
mkdir -p /build/out/usr/lib/xtables
cp /build/install/usr/lib/xtables/*.so /build/out/usr/lib/xtables/
loader=$(readelf --program-headers /build/out/usr/sbin/xtables-nft-multi |
    sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
for file in /build/out/usr/sbin/xtables-*-multi /build/out/usr/lib/xtables/*.so; do
    "$loader" --library-path /build/install/usr/lib --list "$file"
done >/build/loaded
if grep 'not found' /build/loaded; then
    echo "error: a library is missing" >&2
    exit 1
fi
{
    echo "$loader"
    awk '$2 == "=>" { print $3 }' /build/loaded
} | sort -u | while read -r library; do
    folder=$(readlink -f "$(dirname "$library")")
    folder=/build/out/${folder#/build/install/}
    mkdir -p "$folder"
    cp -L "$library" "$folder/"
done
for folder in lib lib64; do
    if [ -d "/build/out/usr/$folder" ]; then
        ln -s "usr/$folder" "/build/out/$folder"
    fi
done
strip --strip-unneeded /build/out/usr/lib/lib*.so.* /build/out/usr/lib/xtables/*.so
