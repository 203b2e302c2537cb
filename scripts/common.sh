#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What scripts/test, scripts/quickstart and scripts/bench share; read by them, from the top of the tree.
set -eu

# A heading, on stderr so that stdout stays what a script is asked for.
heading() {
    if [ -t 2 ]; then
        printf '\033[1m== %s\033[0m\n' "$*" >&2
    else
        printf '== %s\n' "$*" >&2
    fi
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# build PRESET [TARGET…]: configure if needed, build, say so when there was nothing to do. The log is shown on failure.
build() {
    preset=$1
    shift
    begin=$(date +%s)
    log=build/$preset.log
    mkdir -p build
    if [ -z "$(find "build/$preset/build.ninja" -newer CMakePresets.json 2>/dev/null)" ]; then
        cmake --preset "$preset" >"$log" 2>&1 || { cat "$log" >&2; die "configuring the $preset build failed"; }
    fi
    if ! cmake --build "build/$preset" ${1:+--target "$@"} >"$log" 2>&1; then
        sed '/^\[[0-9]*\/[0-9]*\] /d' "$log" >&2 # without the steps that succeeded
        die "the $preset build failed"
    fi
    if grep -q '^ninja: no work to do' "$log"; then
        printf '%s build: up to date\n' "$preset" >&2
    else
        printf '%s build: done in %d s\n' "$preset" $(($(date +%s) - begin)) >&2
    fi
}

# CMake reads these when it configures a build directory for the first time.
if command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
