# SPDX-License-Identifier: Apache-2.0
# The guest's root file system, made by mmdebstrap from the mirror this machine uses. Read by build-inside.

# The packages of a recipe as one word: "a,b,c".
packages_of() {
    sed -e 's/#.*//' "$1" | tr -s ' \n' ',' | sed -e 's/^,//' -e 's/,$//'
}

make_root_file_system() {
    apt_transport_options >"$work/transport.conf"
    extract=true
    [ "$(uname -m)" = "$arch" ] || extract=images/vm/hook-extract
    PATH=/.fleet-native:$PATH mmdebstrap --mode=root --architectures="$debian" --variant=apt --include="$(packages_of "images/vm/$kind/packages.txt")" \
        --aptopt="$work/transport.conf" --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --setup-hook=images/vm/hook-setup --extract-hook="$extract" --essential-hook=images/vm/hook-essential \
        --verbose "$device_release" "$root" "$(private_apt_source "$work/apt")"
    remove_native_programs
    # Nothing of this machine's way to its mirror, and no identity.
    rm -f "$root/etc/apt/preferences.d/fleet-build" "$root"/etc/apt/sources.list.d/* "$root"/etc/apt/sources.list "$root/etc/apt/apt.conf.d/99mmdebstrap" \
        "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/tmp/*
    find "$root/var/log" -type f -delete
    cp -a "$work/kernel/usr/lib/modules" "$root/usr/lib/"
}

# What hook-extract put there.
remove_native_programs() {
    if [ -e "$root/.fleet-native" ]; then
        ln -sfn dash "$root/bin/sh"
        while read -r library; do
            directory=$(realpath "$root${library%/*}")
            rm "$directory/${library##*/}"
            rmdir --ignore-fail-on-non-empty "$directory"
        done <"$root/.fleet-native/list"
        rm -r "$root/.fleet-native"
    fi
    # Made by hooks, for those architectures that have it.
    if [ ! -e "$root/usr/lib64" ] || rmdir "$root/usr/lib64" 2>/dev/null; then
        rm -f "$root/lib64"
    fi
}

# By this machine's programs. What is made links to /usr/share/ca-certificates, which therefore has to be the guest's.
make_certificates() {
    rm "$root/usr/sbin/update-ca-certificates"
    guest dpkg-divert --quiet --local --rename --remove /usr/sbin/update-ca-certificates
    mount --bind "$root/usr/share" /usr/share
    sh "$root/usr/sbin/update-ca-certificates" --certsconf "$root/etc/ca-certificates.conf" \
        --etccertsdir "$root/etc/ssl/certs" --localcertsdir "$root/usr/local/share/ca-certificates" --hooksdir /nonexistent
    umount /usr/share
}

# guest COMMAND…: in the guest's root file system.
guest() {
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root "$@"
}

# copy_files DIRECTORY: its tree over the guest's, owned by root.
copy_files() {
    cp -dR --preserve=mode "$1/." "$root/"
}

# units_off UNIT…: never to be started (masked).
units_off() {
    for unit in "$@"; do
        ln -sfn /dev/null "$root/etc/systemd/system/$unit"
    done
}

# Sparse; most of it stays unwritten until a guest uses it.
make_disk() {
    truncate --size 4G "$work/image/disk.img"
    mke2fs -q -t ext4 -L fleet-root -m 0 -J size=16 -E lazy_itable_init=1 -d "$root" "$work/image/disk.img"
}
