# SPDX-License-Identifier: Apache-2.0
# What makes a Debian system the stock image: as little as possible. Read by build-inside.

customize() {
    copy_files images/vm/common
    copy_files images/vm/stock/files
    name_mirror
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

# The mirror that the image was made from, by HTTP: so it is known to the proxy at the gateway.
name_mirror() {
    # shellcheck disable=SC2016 # for apt
    mirror=$(private_apt "$work/apt" apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        sed -n '1s/^https:/http:/; 1p')
    [ -n "$mirror" ] || die "apt does not say which mirror it uses"
    mkdir -p "$root/etc/apt/sources.list.d"
    cat >"$root/etc/apt/sources.list.d/debian.sources" <<END
Types: deb
URIs: $mirror
Suites: $device_release
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
}
