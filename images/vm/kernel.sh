# SPDX-License-Identifier: Apache-2.0
# The guest's kernel is Debian's cloud kernel, taken apart on this machine: installed in the guest it would have its
# initramfs made there, which takes a quarter of an hour where programs are emulated. Read by build-inside.

# compile_identity PROGRAM: static, for it runs in the initramfs' world too.
compile_identity() {
    "$arch-linux-gnu-gcc" -std=gnu17 -D_GNU_SOURCE -Os -static -Wall -Wextra -Werror -ffunction-sections -fdata-sections \
        -Wl,--gc-sections -s -I. -o "$1" images/vm/*.c base/error.c base/memory.c base/text.c
}

# download PACKAGE: its .deb into WORK/debs.
download() (
    mkdir -p "$work/debs"
    cd "$work/debs"
    private_apt "$work/apt" apt-get download "$1"
)

unpack_kernel() {
    package=$(private_apt "$work/apt" apt-cache depends "linux-image-cloud-$debian" |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p')
    download "$package"
    dpkg-deb --extract "$work/debs/$package"_*.deb "$work/kernel"
    version=$(basename "$work"/kernel/lib/modules/*)
    mkdir -p "$work/kernel/usr/lib"
    mv "$work/kernel/lib/modules" "$work/kernel/usr/lib/modules"
    rmdir "$work/kernel/lib"
    ln -s usr/lib "$work/kernel/lib"
    depmod --basedir "$work/kernel" "$version"
    cp "$work/kernel/boot/vmlinuz-$version" "$work/image/kernel"
}

# Only what finds the disk; everything else is loaded by the guest from there.
make_initramfs() {
    version=$(basename "$work"/kernel/usr/lib/modules/*)
    download busybox-static
    dpkg-deb --fsys-tarfile "$work"/debs/busybox-static_*.deb | tar --extract --directory "$work" ./bin/busybox
    tree=$work/initramfs
    mkdir -p "$tree/bin" "$tree/dev" "$tree/modules" "$tree/proc" "$tree/guest" "$tree/sys"
    mv "$work/bin/busybox" "$tree/bin/busybox"
    install -m 0755 images/vm/initramfs/init "$tree/init"
    mknod -m 0600 "$tree/dev/console" c 5 1
    number=10
    modprobe --dirname "$work/kernel" --set-version "$version" --show-depends --all virtio_pci virtio_blk ext4 |
        sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$work/modules"
    while read -r module; do
        cp "$module" "$tree/modules/$number-${module##*/}"
        number=$((number + 1))
    done <"$work/modules"
    (cd "$tree" && find . | cpio --create --format newc --owner 0:0 --quiet) | zstd --quiet -9 -o "$work/image/initrd"
}
