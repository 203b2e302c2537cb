/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Killing the bring-up of a stack and watching it vanish.
 */

#include <stdint.h>

#include "base/error.h"

/** A bring-up to be killed: what the victim program was doing and how long it took to vanish. */
struct victim_report {
    char *phase;       /**< the innermost phase open at the kill, "-" for none; owned */
    char *found;       /**< if it was up: what leftovers_find() found of it just before the kill; owned */
    char *run_id;      /**< of its run; NULL: it had none yet; owned */
    int64_t killed_ms; /**< after its start */
    int64_t reaped_ms; /**< SIGKILL → nothing left */
};

void victim_report_clear(struct victim_report *report);
static inline void victim_report_clear_at_exit(struct victim_report *report)
{
    victim_report_clear(report);
}
#define cleanup_victim_report __attribute__((cleanup(victim_report_clear_at_exit)))

/** What to kill, and when. */
struct victim_moment {
    const char *stack; /**< "host" (NULL too): with podman, an agent and hello-web; "vm", "pod": with one device */
    int64_t delay_ms;  /**< after its start, or after the phase has begun; -1: once it is up */
    const char *phase; /**< NULL: any */
};

/**
 * Start the victim (it brings the stack up, then waits), SIGKILL it at the moment and wait until nothing of it is left:
 * 10 s at most for a host stack, 30 s for the others. What a run has in a Kubernetes cluster is not looked for.
 * @param directory  an existing directory of this call's own
 * @param ret        empty; cleared by the caller, also after a failure
 * Errors: GENERAL_TIMEOUT naming what is left.
 */
MUST_CHECK int victim_kill(const char *directory, struct victim_moment moment, struct victim_report *ret,
                           struct error *err);
