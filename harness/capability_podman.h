/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which OCI runtime works depends on the kernel's control groups, and whether any does on more than one would think
 * of. So the probe runs one container with a published port, in a sandbox of its own, with each runtime in turn until
 * one succeeds (capability_podman_probe.c). That takes most of a second, therefore the answer is remembered until the
 * next boot or until one of the programs changes (capability_podman.c).
 */

#include "base/text.h"
#include "harness/capability_probe.h"

#define PODMAN_RUNTIMES 2
extern const char *const podman_runtimes[PODMAN_RUNTIMES]; /**< in the order they are tried */

struct podman_answer {
    char *version;
    char *program, *runtime_path;
    char *runtime;
    bool needs_ulimits;
    long nofile, nproc;
    char *gap, *remedy;        /**< set when podman cannot be used */
    struct text_list refusals; /**< one a runtime that was refused, in its own words */
};

/** Find the answer by trying. One process at a time (the caller holds the probe's lock). */
void podman_decide(struct podman_answer *answer);
