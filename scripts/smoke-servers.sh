# SPDX-License-Identifier: Apache-2.0
# What devices need of the other side, in the network namespace of scripts/smoke-sandbox.sh. Read by scripts, which set
# nats and registry to the programs.

# start_servers ADDRESS STORAGE: nats-server with JetStream and one user, smoke; docker-registry, which only reads STORAGE.
start_servers() {
    password=$(tr -d - </proc/sys/kernel/random/uuid)
    cat >nats.conf <<END
host: $1
jetstream { store_dir: "$PWD/nats" }
authorization { user: smoke, password: "$password" }
END
    cat >registry.yml <<END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: "$2"}, maintenance: {readonly: {enabled: true}}}
http: {addr: "$1:5000"}
END
    "$nats" --config nats.conf >nats.log 2>&1 &
    "$registry" serve registry.yml >registry.log 2>&1 &
    wait_for 30 busybox wget -q -O - "http://$1:5000/v2/"
    wait_for 30 busybox nc "$1" 4222 </dev/null
}

# converse ADDRESS TEXT PATTERN SECONDS: tell NATS TEXT in its own protocol, with the escapes of printf, and wait until
# it says PATTERN. There is no client of NATS among Debian's programs, and none is needed:
# https://docs.nats.io/reference/reference-protocols/nats-protocol
converse() {
    rm -f say && mkfifo say
    busybox nc "$1" 4222 <say >heard.log &
    peer=$!
    exec 8>say
    printf 'CONNECT {"user":"smoke","pass":"%s","verbose":false}\r\n%b' "$password" "$2" >&8
    wait_for "$4" grep -q -e "$3" -e '^-ERR' heard.log
    exec 8>&-
    kill "$peer"
    grep -q -e "$3" heard.log || die "NATS said $(tail -n 1 heard.log)"
}
