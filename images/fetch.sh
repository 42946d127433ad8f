#!/bin/sh
# Fetches packages of one Debian suite with an apt state of its own: on the host, or in a container that has apt.
#
#     fetch.sh DIRECTORY SUITE
#
# DIRECTORY/want holds one file a package set, each a list of packages; DIRECTORY/want-sources, where there is one,
# source packages with their versions. What was fetched lies then in DIRECTORY/sets/SET/*.deb and DIRECTORY/sources/*; a
# set that could not be had has apt's own words in DIRECTORY/sets/SET.error, and so sources in DIRECTORY/sources.error.
# Exit status 10: this machine has no apt that is set up with Debian's archive.
set -eu

directory=$1
suite=$2
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
command -v apt-get >/dev/null || exit 10
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || keyring=/usr/share/keyrings/debian-archive-keyring.pgp
[ -r "$keyring" ] || exit 10

state=$directory/apt
mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/parts" "$directory/sets"
: >"$state/status"
: >"$state/sources.list"

# The machine's own settings (a proxy, a mirror) stay; its hooks, which would act on its own cache, do not.
settings() {
    cat >"$state/$1" <<EOF
#clear APT::Update;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Dir::State "$state";
Dir::State::status "$state/status";
Dir::Cache "$state";
Dir::Cache::archives "$state/archives";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Log "$state";
EOF
}

mirrors() {
    apt-get "$@" indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "Debian" && $2 !~ /-security$/ && $3 ~ /^(http|https|file|mirror|copy)/ { print $3 }' | sort -u
}

# A freshly made image has sources but no lists yet: those are then fetched into the private state.
settings machine.conf
found=$(mirrors)
if [ -z "$found" ]; then
    apt-get -c "$state/machine.conf" -q update >"$state/log" 2>&1 || true
    found=$(mirrors -c "$state/machine.conf")
fi
[ -n "$found" ] || exit 10

settings apt.conf
cat >>"$state/apt.conf" <<EOF
Dir::Etc::sourcelist "$state/sources.list";
Dir::Etc::sourceparts "$state/parts";
Dir::Etc::preferences "$state/preferences";
Dir::Etc::preferencesparts "$state/parts";
EOF
apt() {
    apt-get -c "$state/apt.conf" -q -y "$@"
}

update() {
    for mirror in $found; do
        echo "deb [signed-by=$keyring target=Packages] $mirror $suite main" >"$state/sources.list"
        if [ -e "$directory/want-sources" ]; then
            echo "deb-src [signed-by=$keyring target=Sources] $mirror $suite main" >>"$state/sources.list"
        fi
        if apt -o APT::Update::Error-Mode=any update >"$state/log" 2>&1; then
            return 0
        fi
    done
    return 1
}

updated=yes
update || updated=no

for want in "$directory"/want/*; do
    [ -e "$want" ] || continue
    set=$directory/sets/$(basename "$want")
    rm -f "$state"/archives/*.deb
    # The list is words by design: one package each.
    # shellcheck disable=SC2046
    if [ $updated = yes ] && apt --download-only install $(cat "$want") >"$state/log" 2>&1; then
        mkdir -p "$set"
        mv "$state"/archives/*.deb "$set/"
    else
        cp "$state/log" "$set.error"
    fi
done

if [ -e "$directory/want-sources" ]; then
    mkdir -p "$directory/sources"
    cd "$directory/sources"
    # One a line.
    # shellcheck disable=SC2013
    for source in $(cat "$directory/want-sources"); do
        if [ $updated = no ] || ! apt source --download-only --tar-only "$source" >"$state/log" 2>&1; then
            cat "$state/log" >>"$directory/sources.error"
        fi
    done
fi
rm -rf "$state"
