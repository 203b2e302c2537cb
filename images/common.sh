# SPDX-License-Identifier: Apache-2.0
# What build-test-images and build-registry share; read by them, from images/, after scripts/setup-common.sh. The user's
# own podman is not touched: everything of this one is in a directory WORK.

# What determines the images, apart from busybox.
# shellcheck disable=SC2034 # for those who read this file
image_recipes='Containerfile common.sh hello-web'

# Nothing of this podman is outside WORK: no lock in /dev/shm, no state in /run.
write_configuration() {
    cat >"$1/containers.conf" <<END
[engine]
cgroup_manager="cgroupfs"
events_logger="none"
lock_type="file"
tmp_dir="$1/run"
[network]
network_backend="netavark"
END
    cat >"$1/storage.conf" <<END
[storage]
driver="overlay"
runroot="$1/run"
graphroot="$1/store"
END
    unset CONTAINER_HOST CONTAINER_CONNECTION
    export CONTAINERS_CONF="$1/containers.conf" CONTAINERS_STORAGE_CONF="$1/storage.conf"
}

# isolated COMMAND…: in a mount namespace of its own, which takes along what an interrupted build leaves mounted. In a
# plain chroot "/" is no mount point: there it goes on in a copy of the tree. (That would not do for running containers,
# see base/mount_namespace.h, but nothing runs to build these images.)
isolated() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount --propagation unchanged sh -euc '
        if mount --make-rprivate / 2>/dev/null; then
            exec "$@"
        fi
        mount --make-private /proc
        mount --rbind / /proc
        cd /proc
        exec chroot . unshare --mount "$@"' sh "$@"
}

check_isolated() {
    [ "$(id -u)" = 0 ] || die "building images needs root"
    isolated true || die "no mount namespace can be made"
}

# build_image CONTEXT TARGET ARGUMENT…
build_image() (
    context=$1 target=$2
    shift 2
    isolated podman build --quiet --layers=false --pull=never --timestamp 0 --file "$PWD/Containerfile" \
        --target "$target" "$@" "$context" >/dev/null
)

# build_images CONTEXT NAMING ARGUMENT…: all test images, of one architecture; NAMING is the option that names them.
build_images() (
    context=$1 naming=$2
    shift 2
    build_image "$context" toolbox "$naming" localhost/toolbox:v1 "$@"
    for version in v1 v2; do
        build_image "$context" hello-web "$naming" "localhost/hello-web:$version" --build-arg VERSION=$version "$@"
    done
)

# prepare_context CONTEXT BUSYBOX [RUNNABLE]: BUSYBOX goes into the images; one of the same version that runs here knows
# its applets.
prepare_context() (
    mkdir -p "$1/rootfs/bin" "$1/rootfs/etc" "$1/rootfs/root" "$1/rootfs/tmp" "$1/hello-web"
    chmod 1777 "$1/rootfs/tmp"
    install -m 0755 "$2" "$1/rootfs/bin/busybox"
    for applet in $("${3:-$2}" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$1/rootfs/bin/$applet"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$1/rootfs/etc/passwd"
    echo 'root:x:0:' >"$1/rootfs/etc/group"
    install -m 0755 hello-web/serve "$1/hello-web/serve"
    for version in v1 v2; do
        mkdir -p "$1/www/$version"
        printf '%s\n' "$version" >"$1/www/$version/version"
        sed "s/@VERSION@/$version/g" hello-web/index.html >"$1/www/$version/index.html"
    done
)

# hash_files FILE-OR-DIRECTORY…
hash_files() {
    find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}
