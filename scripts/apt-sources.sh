# SPDX-License-Identifier: Apache-2.0
# Debian's packages of another release or architecture, from the mirrors this machine's own apt configuration names, by
# an apt with directories of its own: this machine's apt and dpkg stay as they are. Read by scripts that have read
# setup-common.sh, from the top of the tree. Functions that use variables are subshells, so that those of the reader stay as
# they are.

# The release of Debian that devices run, whatever this machine runs.
# shellcheck disable=SC2034 # for those who read this file
device_release=bookworm

# debian_architecture ARCH: what Debian calls aarch64 and x86_64.
debian_architecture() {
    case $1 in
    aarch64) echo arm64 ;;
    x86_64) echo amd64 ;;
    *) die "there is no architecture \"$1\": aarch64, x86_64" ;;
    esac
}

# derive_sources DIRECTORY RELEASE: the entries of this machine's apt configuration for its own Debian release,
# rewritten to be about RELEASE (its component main, of any architecture): files DIRECTORY/<n>/<m>.list or .sources;
# mirror, keyring and other options as they are.
derive_sources() (
    # shellcheck disable=SC1091 # the system's
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    list='' parts=''
    eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
    number=0
    for file in "$list" "$parts"/*.list "$parts"/*.sources; do
        if [ -r "$file" ]; then
            mkdir -p "$1/$number"
            awk -v own="$codename" -v other="$2" -v out="$1/$number" \
                -f "scripts/apt-sources-${file##*.}.awk" "$file"
            number=$((number + 1))
        fi
    done
)

# private_apt_source DIRECTORY: the file with the one source that private_apt_open found; mmdebstrap takes it too.
private_apt_source() {
    echo "$1"/source.*
}

# private_apt DIRECTORY PROGRAM ARGUMENT…: apt-get or apt-cache with the directories and the one source that
# private_apt_open prepared. It knows of no installed package: a package is downloaded with all it depends on.
private_apt() (
    private=$1 program=$2 architecture=$(cat "$1/architecture")
    shift 2
    "$program" --quiet=2 -o Dir::Etc::sourcelist="$(private_apt_source "$private")" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Dir::State="$private/state" -o Dir::State::status=/dev/null -o Dir::Cache="$private/cache" \
        -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o APT::Default-Release= \
        -o APT::Sandbox::User=root -o APT::Install-Recommends=false -o Acquire::Languages=none "$@"
)

# private_apt_open DIRECTORY RELEASE DEBIAN-ARCHITECTURE PACKAGE: prepare DIRECTORY for private_apt with the first of
# this machine's mirrors that has PACKAGE in RELEASE. False when none has.
private_apt_open() (
    mkdir -p "$1/sources" "$1/state/lists/partial" "$1/cache/archives/partial"
    printf '%s\n' "$3" >"$1/architecture"
    derive_sources "$1/sources" "$2"
    for source in "$1"/sources/*/*; do
        [ -e "$source" ] || continue
        rm -f "$1"/source.*
        cp "$source" "$1/source.${source##*.}" # apt tells the format by the name
        if private_apt "$1" apt-get update && private_apt "$1" apt-cache show "$4" >/dev/null 2>&1; then
            exit 0
        fi
    done
    exit 1
)

# private_apt_add_source DIRECTORY: let apt-get source work there too.
private_apt_add_source() (
    file=$(private_apt_source "$1")
    case $file in
    *.list) sed -i -e p -e 's/^deb /deb-src /' "$file" ;;
    *) sed -i 's/^Types: deb$/Types: deb deb-src/' "$file" ;;
    esac
    private_apt "$1" apt-get update
)

# apt_transport_options: how this machine's apt reaches its mirrors (proxies, checks, credentials), in the form of
# apt.conf(5), for a program that does not read /etc/apt: mmdebstrap --aptopt=FILE. It writes them into the tree it
# makes too, from which they have to be removed.
apt_transport_options() (
    apt-config dump | grep -E '^Acquire::' |
        grep -v -E '^Acquire::(IndexTargets|Changelogs|Languages|GzipIndexes|CompressionTypes)[: ]'
    for name in netrc netrcparts; do
        path=
        eval "$(apt-config shell path Dir::Etc::$name/f)"
        printf 'Dir::Etc::%s "%s";\n' "$name" "$path"
    done
)
