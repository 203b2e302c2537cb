# SPDX-License-Identifier: Apache-2.0
# What scripts/setup and its parts share; read by them.

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

say() {
    printf '%s\n' "$*"
}

# The same directory as cache_directory() of harness/capability.c, made if need be.
cache_directory() {
    case ${FLEET_CACHE:-} in
    /*) cache=$FLEET_CACHE ;;
    *)
        case ${XDG_CACHE_HOME:-} in
        /*) cache=$XDG_CACHE_HOME/harmony-fleet ;;
        *) cache=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}/.cache/harmony-fleet ;;
        esac
        ;;
    esac
    mkdir -p "$cache"
    printf '%s\n' "$cache"
}

# lock_cache CACHE: one set-up at a time works in the cache; held until this process ends. What is called ".new-…"
# then was left by one that was interrupted.
lock_cache() {
    exec 9>"$1/.lock"
    if ! flock --nonblock 9; then
        say "waiting for another set-up to finish"
        flock 9
    fi
    rm -rf "$1"/.new-*
}

# point CACHE NAME TARGET: make CACHE/NAME a link to TARGET, replacing a former one in one step.
point() {
    if [ "$(readlink "$1/$2" 2>/dev/null)" != "$3" ]; then
        ln -sfn "$3" "$1/.new-link-$2"
        mv -T "$1/.new-link-$2" "$1/$2"
    fi
}

# unpack_packages TREE DEB…: unpack Debian's packages over each other into TREE, made by it. As on the machines they come
# from or are laid over, /lib and its like are links into /usr.
unpack_packages() (
    tree=$1
    shift
    for directory in bin lib lib64 sbin; do
        mkdir -p "$tree/usr/$directory"
        ln -s "usr/$directory" "$tree/$directory"
    done
    for package; do
        dpkg-deb --fsys-tarfile "$package" | tar --extract --directory "$tree" --keep-directory-symlink
    done
)

# keep_newest DIRECTORY PREFIX COUNT: of the directories in DIRECTORY whose names are PREFIX and a hash, remove all but
# those last touched.
keep_newest() (
    # shellcheck disable=SC2010 # names that match are plain
    ls -t "$1" | grep -E -x -e "$2[0-9a-f]{16}" | tail -n "+$(($3 + 1))" | while read -r name; do
        rm -rf "${1:?}/$name"
    done
)
