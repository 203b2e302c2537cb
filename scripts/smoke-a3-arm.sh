#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The way of the VM tests with nothing of ours but agent, guest image and workloads: virsh, ssh, nats-server, podman.
# Where a VM test fails and this does not, the fault is in our C; where both do, in the image, the agent or the machine.
# As root. FLEET_E2E_VM_ARCH, FLEET_E2E_VM_ACCEL and FLEET_E2E_KEEP as for the tests. Exit code: 0, 1; 130 interrupted.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
. "$source/scripts/setup-common.sh"
. "$source/scripts/smoke-sandbox.sh"
. "$source/scripts/smoke-servers.sh"

arch=${FLEET_E2E_VM_ARCH:-aarch64} device=fleet-smoke gateway=192.168.122.1 mac=52:54:00:5a:0c:e1
cache=$(cache_directory)
image=$cache/vm/$arch/golden agent=$cache/agents/$arch/harmony-fleet-agent
nats=${FLEET_NATS_SERVER:-$cache/nats-server/usr/sbin/nats-server}
registry=$cache/docker-registry/usr/bin/docker-registry
case $arch in
aarch64) machine=virt console=ttyAMA0 features="<gic version='3'/>" model=cortex-a72 ;;
x86_64) machine=q35 console=ttyS0 features='<acpi/><apic/>' model=qemu64 ;;
*) die "FLEET_E2E_VM_ARCH is \"$arch\", neither aarch64 nor x86_64" ;;
esac
type=qemu cpu="<cpu mode='custom' match='exact'><model>$model</model></cpu>"
[ "${FLEET_E2E_VM_ACCEL:-tcg}" = tcg ] || type=kvm cpu="<cpu mode='host-passthrough'/>"

check_machine() {
    [ "$(id -u)" = 0 ] || die "namespaces and libvirt need root"
    for program in libvirtd virsh dnsmasq "qemu-system-$arch" qemu-img ip ssh ssh-keygen busybox nsenter setpriv \
        "$nats" "$registry"; do
        command -v "$program" >/dev/null || die "$program is missing (HARMONY_FLEET_VM_E2E=1 scripts/setup brings it)"
    done
    [ -e "$image/disk.img" ] || die "there is no guest image: images/vm/build $arch golden"
    [ -x "$agent" ] || die "there is no agent for the guest: scripts/build-agent $arch"
    [ -d "$cache/registry" ] || die "there are no workload images: images/build-registry"
}

# The seed is what fleet-identity in the guest takes name, keys and random bytes from (docs/vm-images.md).
make_disks() {
    qemu-img create -q -f qcow2 -F raw -b "$(readlink -f "$image/disk.img")" disk.qcow2
    ssh-keygen -q -t ed25519 -N '' -C fleet-admin -f key
    ssh-keygen -q -t ed25519 -N '' -C "$device" -f host-key
    printf '%s %s\n' "$device" "$(cut -d' ' -f1,2 host-key.pub)" >known_hosts
    cat >seed.img <<END
FLEET-SEED 1
kind=device
hostname=$device
machine-id=$(tr -d - </proc/sys/kernel/random/uuid)
mac=$mac
host-key=$(base64 -w 0 host-key)
host-key-public=$(cat host-key.pub)
authorized-key=$(cat key.pub)
random=$(head -c 512 /dev/urandom | base64 -w 0)
end=1
END
    truncate -s 65536 seed.img
}

# As vm_domain_xml() of deploy/vm_domain.c.
start_domain() {
    cat >domain.xml <<END
<domain type='$type'><name>$device</name><memory unit='MiB'>768</memory><vcpu>2</vcpu>
<os><type arch='$arch' machine='$machine'>hvm</type><kernel>$(readlink -f "$image/kernel")</kernel>
<initrd>$(readlink -f "$image/initrd")</initrd><cmdline>console=$console quiet loglevel=3</cmdline></os>
<features>$features</features>$cpu<clock offset='utc'/><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe' discard='unmap'/>
<source file='$PWD/disk.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$PWD/seed.img'/>
<target dev='vdb' bus='virtio'/><serial>fleet-seed</serial></disk>
<interface type='network'><mac address='$mac'/><source network='default'/><model type='virtio'/>
<rom enabled='no'/></interface>
<serial type='file'><source path='$PWD/console.log' append='on'/></serial>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<controller type='usb' model='none'/><memballoon model='none'/><video><model type='none'/></video></devices></domain>
END
    virsh --quiet define domain.xml
    virsh --quiet start "$device"
}

has_lease() {
    address=$(virsh --quiet net-dhcp-leases default --mac "$mac" | sed -n 's/.* ipv4 *\([0-9.]*\).*/\1/p')
    [ -n "$address" ]
}

# remote COMMAND: one connection for all of them.
remote() {
    ssh -F none -i key -o BatchMode=yes -o UserKnownHostsFile=known_hosts -o StrictHostKeyChecking=yes \
        -o HostKeyAlias="$device" -o ConnectTimeout=20 -o LogLevel=ERROR -o ControlMaster=auto -o ControlPath=ssh \
        -o ControlPersist=60 "fleet-admin@$address" "$@"
}

install_agent() {
    mkdir -p guest/usr/local/bin guest/etc/fleet-agent guest/etc/systemd/system
    cp "$agent" guest/usr/local/bin/harmony-fleet-agent
    cat >guest/etc/fleet-agent/agent-config.toml <<END
agent = { device_id = "$device", state_directory = "/var/lib/fleet-agent" }
nats.urls = ["nats://$gateway:4222"]
credentials = { type = "toml-shared", user = "smoke", password_file = "/etc/fleet-agent/nats-password" }
END
    (umask 077 && printf '%s\n' "$password" >guest/etc/fleet-agent/nats-password)
    cat >guest/etc/systemd/system/fleet-agent.service <<END
[Service]
Type=notify
ExecStart=/usr/local/bin/harmony-fleet-agent --config /etc/fleet-agent/agent-config.toml
StateDirectory=fleet-agent
END
    (cd guest && find . -type f | tar --create --gzip --owner=0 --group=0 --no-recursion --files-from=-) |
        remote 'sudo tar --extract --gzip --directory / && sudo systemctl start podman.socket fleet-agent'
}

ask_ping() {
    converse "$gateway" "SUB answer 1\r\nPUB device-commands.$device.ping answer 0\r\n\r\n" "\"device_id\":\"$device\"" 10
}

deploy() {
    score='{"type":"PodmanV0","data":{"services":[{"name":"web","image":"'$gateway':5000/hello-web:v1","ports":["8080:80"]}]}}'
    converse "$gateway" "SUB \$KV.device-state.state.$device.hello 1\r\nPUB \$KV.desired-state.$device.hello ${#score}\r\n$score\r\n" \
        '"phase":"Running"' 120
}

look() {
    remote sudo podman ps
    [ "$(busybox wget -q -O - "http://$address:8080/version")" = v1 ] || die "hello-web does not say v1"
}

inside() {
    trap '[ $? = 0 ] || tail -n 20 ./*.log >&2' EXIT
    step "libvirt" start_libvirt "$cache/vm/libvirt"
    step "network" start_network "$gateway"
    step "nats-server, docker-registry" start_servers "$gateway" "$cache/registry"
    step "disk, keys, seed" make_disks
    step "virsh define, start" start_domain
    step "boot, DHCP lease" wait_for 300 has_lease
    step "sshd" wait_for 120 remote true
    step "agent: copied, started, connected" install_agent
    step "ping over NATS" ask_ping
    step "desired state put -> Running" deploy
    step "podman ps, HTTP" look
    [ "${FLEET_E2E_KEEP:-}" != 1 ] || printf 'log in, in the shell below: %s -o HostKeyAlias=%s fleet-admin@%s\n' \
        'ssh -F none -i key -o UserKnownHostsFile=known_hosts' "$device" "$address"
}

if [ "${1:-}" = inside ]; then
    inside
else
    check_machine
    sandbox_run "$source/scripts/smoke-a3-arm.sh" inside
fi
