/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a run left on the machine, found without the harness's own knowledge: no journal is read here.
 */

#include "base/error.h"
#include "base/text.h"

/**
 * Everything there is of runs below `runs_directory`: processes that inherited FLEET_E2E_RUNS=<runs_directory>, entries
 * of the directory, mounts below it, control groups named fleet-e2e-* that are not in `known_groups`.
 * One line each in *ret ("process 123 nats-server …").
 */
MUST_CHECK int leftovers_find(const char *runs_directory, const struct text_list *known_groups, struct text_list *ret,
                              struct error *err);
/** Control groups named fleet-e2e-* at the top of every hierarchy. */
MUST_CHECK int leftovers_groups(struct text_list *ret, struct error *err);

/** A bring-up to be killed: what the victim program was doing and how long it took to vanish. */
struct victim_report {
    char *phase;       /**< the innermost phase open at the kill, "-" for none; owned */
    int64_t killed_ms; /**< after its start */
    int64_t reaped_ms; /**< SIGKILL → nothing left */
};

/**
 * Start the victim (it brings the host stack up with podman, an agent and hello-web, then waits), SIGKILL it after
 * `delay_ms` (-1: once it is up) and wait until nothing of it is left, 10 s at most.
 * @param directory  an existing directory of this call's own
 * Errors: GENERAL_TIMEOUT naming what is left.
 */
MUST_CHECK int victim_kill(const char *directory, int64_t delay_ms, struct victim_report *ret, struct error *err);
