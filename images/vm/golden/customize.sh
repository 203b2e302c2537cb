# SPDX-License-Identifier: Apache-2.0
# What makes a Debian system the golden image: a device as its owner would prepare it, made to boot fast where it is
# emulated. Read by build-inside.

customize() {
    copy_files images/vm/common
    copy_files images/vm/golden/files
    # As FleetDeviceSetupScore would write them: where there is nothing to change, it takes no time.
    chmod 0440 "$root/etc/sudoers.d/90-harmony-fleet"
    install -m 0755 "$work/fleet-identity" "$root/usr/sbin/fleet-identity"
    # "*" is no password that fits, but unlike "!" it does not lock the user out of sshd.
    guest useradd --create-home --shell /bin/bash --password '*' fleet-admin
    guest systemctl --quiet enable systemd-networkd.service ssh.service podman.socket fleet-identity.service
    guest systemctl --quiet disable podman.service # its socket starts it
    customize_for_speed
    # The seed brings it. Empty, and not absent: a first boot would set all services to Debian's presets.
    : >"$root/etc/machine-id"
    mkdir -p "$root/var/lib/dbus" "$root/var/log/journal"
    ln -sfn /etc/machine-id "$root/var/lib/dbus/machine-id"
}

# What a device does without, and an emulated one waits for.
customize_for_speed() {
    # The one network card keeps the kernel's name.
    ln -sfn /dev/null "$root/etc/systemd/network/99-default.link"
    guest systemctl --quiet set-default multi-user.target
    # Login on the console, records of who logged in and sessions; there is nobody, but by sshd without PAM.
    units_off getty@.service serial-getty@.service console-getty.service systemd-logind.service \
        systemd-user-sessions.service systemd-update-utmp.service systemd-update-utmp-runlevel.service
    # Upkeep of a machine that runs for months.
    units_off apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
        fstrim.timer podman-auto-update.timer podman-auto-update.service
    # Containers come back by the agent, not by podman.
    units_off podman-restart.service
    # What is done already: by the image, the initramfs or the seed.
    units_off systemd-firstboot.service systemd-sysusers.service systemd-hwdb-update.service systemd-fsck-root.service \
        systemd-remount-fs.service systemd-machine-id-commit.service systemd-random-seed.service \
        systemd-network-generator.service systemd-networkd-wait-online.service
    # What these guests do not have or nobody asks for.
    units_off systemd-pstore.service systemd-binfmt.service systemd-modules-load.service dev-hugepages.mount \
        dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
        sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount
    # Run by every daemon-reload, to look for what these guests do not have. Only the one for fstab is left.
    mkdir -p "$root/etc/systemd/system-generators"
    for generator in bless-boot cryptsetup debug getty gpt-auto hibernate-resume integritysetup rc-local run \
        system-update sysv veritysetup; do
        ln -sfn /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
    done
    for module in configfs dm_mod drm efi_pstore fuse loop; do
        units_off "modprobe@$module.service"
    done
}
