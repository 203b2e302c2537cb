# SPDX-License-Identifier: Apache-2.0
# A directory and namespaces with a libvirt of their own, by unshare(1) and mount(8): what fixtures/vm_sandbox.c does, in
# shell, for scripts that check the machine without our C. Read by them, after scripts/setup-common.sh.

# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
    tries=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || die "in vain: $*"
        sleep 0.1
    done
}

# step WHAT COMMAND…: run it and say how long it took.
step() {
    what=$1 begin=$(date +%s%3N)
    shift
    "$@"
    took=$(($(date +%s%3N) - begin))
    printf '%4d.%03d s  %s\n' $((took / 1000)) $((took % 1000)) "$what"
}

# In the namespaces, in the directory: nothing of the machine's /etc, /var and /run is written to. virsh finds this
# libvirt by LIBVIRT_DEFAULT_URI.
start_libvirt() {
    mount -t proc proc /proc
    ip link set lo up
    mkdir memory
    mount -t tmpfs tmpfs memory
    for part in etc var; do
        mkdir "memory/$part" "memory/$part.work"
        mount -t overlay overlay "/$part" \
            -o "lowerdir=/$part,upperdir=$PWD/memory/$part,workdir=$PWD/memory/$part.work"
    done
    mount -t tmpfs tmpfs /run
    mkdir -p /run/libvirt /etc/libvirt /var/cache/libvirt "$1"
    mount -t tmpfs tmpfs /etc/libvirt
    mount --bind "$1" /var/cache/libvirt
    getent passwd libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin' >>/etc/passwd
    getent group libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:' >>/etc/group
    getent group kvm >/dev/null || echo 'kvm:x:64054:' >>/etc/group
    cat >/etc/libvirt/libvirtd.conf <<END
unix_sock_dir = "$PWD"
auth_unix_rw = "none"
auth_unix_ro = "none"
END
    cat >/etc/libvirt/qemu.conf <<END
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
max_core = 0
END
    libvirtd --config /etc/libvirt/libvirtd.conf >libvirtd.log 2>&1 &
    wait_for 60 virsh version
}

# start_network GATEWAY: libvirt's "default" network, as Debian defines it; see fixtures/vm_host.c for the differences.
start_network() {
    cat >network.xml <<END
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'><name>default</name><forward mode='nat'/>
<bridge name='virbr0' stp='off' delay='0'/><dns enable='no'/><ip address='$1' netmask='255.255.255.0'>
<dhcp><range start='${1%.*}.2' end='${1%.*}.254'/></dhcp></ip>
<dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options></network>
END
    virsh --quiet net-create network.xml
}

# The process that is PID 1 inside, as it is called outside.
sandbox_init() {
    { tr -d ' ' <"/proc/$sandbox/task/$sandbox/children"; } 2>/dev/null || true
}

# With its PID 1 everything inside ends; wait returns when the last of it has.
sandbox_remove() {
    init=$(sandbox_init)
    [ -z "$init" ] || kill -KILL "$init"
    wait "$sandbox" 2>/dev/null || true
    rm -rf "$directory"
}

sandbox_end() {
    init=$(sandbox_init)
    if [ "${FLEET_E2E_KEEP:-}" = 1 ] && [ -n "$init" ]; then
        kill -KILL "$sandbox" # only unshare, which would hold our output open
        printf 'kept: a shell in it:  cd %s && nsenter --target %d --mount --net --pid env LIBVIRT_DEFAULT_URI=%s sh\n' \
            "$directory" "$init" "'$LIBVIRT_DEFAULT_URI'"
        printf '      to remove it:   kill -KILL %d; rm -rf %s\n' "$init" "$directory"
    else
        sandbox_remove
    fi
}

# sandbox_run COMMAND…: run it in a directory and namespaces of its own, which end with it unless FLEET_E2E_KEEP=1.
# Their PID 1 reaps what libvirt leaves to it; it ends with us, even if we are killed.
sandbox_run() {
    sandbox=
    directory=$(mktemp -d /tmp/fleet-smoke-XXXXXX)
    export LIBVIRT_DEFAULT_URI="qemu+unix:///system?socket=$directory/libvirt-sock"
    unshare='setpriv --pdeathsig KILL unshare --kill-child'
    [ "${FLEET_E2E_KEEP:-}" != 1 ] || unshare=unshare
    trap sandbox_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # shellcheck disable=SC2016,SC2086 # for the inner shell; words
    $unshare --mount --net --pid --fork sh -c '
        exec >&8 2>&9 8>&- 9>&-
        cd "$0"
        "$@" || code=$?
        echo "${code:-0}" >code
        exec </dev/null >/dev/null 2>&1
        while [ "${FLEET_E2E_KEEP:-}" = 1 ]; do sleep 3600; done' "$directory" "$@" \
        8>&1 9>&2 >"$directory/unshare.errors" 2>&1 &
    sandbox=$!
    while [ ! -s "$directory/code" ] && kill -0 "$sandbox" 2>/dev/null; do
        sleep 0.1
    done
    [ -s "$directory/code" ] || die "the sandbox failed: $(cat "$directory/unshare.errors")"
    exit "$(cat "$directory/code")"
}
