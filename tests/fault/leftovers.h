/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a run left on the machine, found without the harness's own knowledge: no journal is read here.
 */

#include "base/error.h"
#include "base/text.h"

/** Where to look. Tests of other builds may run on this machine: their control groups come and go meanwhile. */
struct leftovers {
    const char *runs_directory;
    const char *run_id;    /**< groups with this in their name count, and its network namespace; NULL: none */
    int network_namespace; /**< a descriptor of it, held open: processes in it count; 0, -1: none */
};

/**
 * Describe everything there is of runs below the directory: processes that inherited FLEET_E2E_RUNS=<runs_directory> or
 * name something below it in their command line (QEMU is started with an environment of libvirt's), those in the network
 * namespace, entries of the directory, mounts below it, control groups, the network namespace's name. Adds "process 123 nats-server …; " and so on to *ret.
 */
MUST_CHECK int leftovers_find(const struct leftovers *where, struct text_buffer *ret, struct error *err);
