# SPDX-License-Identifier: Apache-2.0
# How a long build shows that it is alive: one line a step with its seconds, and the last words of a long one every 10 s.
# Read by scripts that have read setup-common.sh.

# pulse TITLE LOG: until it is killed.
pulse() {
    seconds=0
    while sleep 10; do
        seconds=$((seconds + 10))
        printf '  %5d s  … %s: %s\n' "$seconds" "$1" "$(tail -n 1 "$2" | tr -d '\r' | cut -c1-100)"
    done
}

# step TITLE COMMAND…: run COMMAND, a program or a function; what it says is shown only if it fails.
step() {
    title=$1 log=$work/step.log
    shift
    started=$(date +%s)
    : >"$log"
    pulse "$title" "$log" &
    pulse=$!
    # In the background, for only there "set -e" holds inside a function whose outcome is asked for.
    (set -eu; "$@") >"$log" 2>&1 </dev/null &
    if wait $!; then outcome=0; else outcome=$?; fi
    kill "$pulse"
    if [ "$outcome" -ne 0 ]; then
        tail -n 60 "$log" >&2
        die "$title failed"
    fi
    printf '  %5d s  %s\n' $(($(date +%s) - started)) "$title"
}
