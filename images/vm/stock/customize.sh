# SPDX-License-Identifier: Apache-2.0
# What makes a Debian system the stock image: as little as possible. Read by build-inside.

customize() {
    copy_files images/vm/common
    copy_files images/vm/stock/files
    guest systemctl --quiet enable systemd-networkd.service ssh.service
    # Nothing here needs the network before the machine can be reached, and the release files of a mirror that stands
    # still are older than apt would have them.
    units_off systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer
    echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/80fleet"
    # Each machine gets an identity of its own when it first boots.
    : >"$root/etc/machine-id"
    mkdir -p "$root/var/lib/dbus" "$root/var/log/journal"
    ln -sfn /etc/machine-id "$root/var/lib/dbus/machine-id"
}
