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
    const char *run_id; /**< groups with this in their name count; NULL: none */
};

/**
 * Describe everything there is of runs below the directory: processes that inherited FLEET_E2E_RUNS=<runs_directory>,
 * entries of the directory, mounts below it, control groups. Adds "process 123 nats-server …; " and so on to *ret.
 */
MUST_CHECK int leftovers_find(const struct leftovers *where, struct text_buffer *ret, struct error *err);
