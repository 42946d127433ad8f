#!/bin/sh
# Compiles one nft source tree inside the toolchain and leaves the program in /build/out.
#
# The source lies unpacked in /build/source, that of the libnftnl that it is linked with in /build/libnftnl; where there is none,
# the toolchain's is taken. EXTRA_CFLAGS holds what its version needs beside the usual, JOBS how many commands make runs at a
# time. Paths are fixed and no time is kept, so that the same input gives the same bytes: from 1.1.6 on nft writes when it was
# built into every table.
set -eu

export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0 CONFIG_SHELL=/usr/bin/bash
umask 022

# A tree from git has no configure yet; a release tarball has one, and its own is used. The tools are called by their
# versioned names, because the plain ones are links that a maintainer script would have made. 1.1.6's configure is bash's.
configure() {
    if [ ! -x ./configure ]; then
        ACLOCAL=$(echo /usr/bin/aclocal-*) AUTOMAKE=$(echo /usr/bin/automake-*) sh ./autogen.sh
    fi
    CFLAGS="-O2 ${EXTRA_CFLAGS:-}" bash ./configure --build="$(gcc -dumpmachine)" --disable-shared --enable-static "$@"
}

if [ -d /build/libnftnl ]; then
    cd /build/libnftnl
    configure --prefix=/build/prefix
    make -j"${JOBS:-1}"
    make install
    export LIBNFTNL_CFLAGS=-I/build/prefix/include LIBNFTNL_LIBS='-L/build/prefix/lib -lnftnl -lmnl'
fi

# Python's bindings are an option up to 1.0.8; later ones warn that they do not know it.
cd /build/source
configure --prefix=/usr --sbindir=/usr/sbin --sysconfdir=/etc \
    --with-json --with-xtables --without-cli --disable-man-doc --disable-python
# 1.1.6 asks `date` when it is built.
make -j"${JOBS:-1}" MAKE_STAMP=0
make install DESTDIR=/build/install MAKE_STAMP=0

mkdir -p /build/out/usr/sbin
cp /build/install/usr/sbin/nft /build/out/usr/sbin/nft
strip --strip-all /build/out/usr/sbin/nft
