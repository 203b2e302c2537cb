/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Driving fleet-harness-victim (harness_victim.c), and looking for what it left.
 */

#include "base/process.h"
#include "base/process_identity.h"
#include "base/text.h"
#include "harness/test.h"

struct victim {
    struct run *outer; /**< this test's; borrowed */
    char *directory;   /**< of this victim: FIFOs, log */
    char *runs;        /**< its FLEET_E2E_RUNS */
    char *id;          /**< of its run; NULL before that */
    char *run_directory;
    struct process_identity reaper;
    struct process *process;
    int life, control, tether;
    bool heard;                /**< it announced a step */
    struct text_buffer unread; /**< of `life` */
};
void victim_clear(struct victim *victim);
static inline void victim_clear_at_exit(struct victim *victim)
{
    victim_clear(victim);
}
#define cleanup_victim __attribute__((cleanup(victim_clear_at_exit)))

/** Start one; `runs`: its runs directory; `variable` ("NAME=value") is added to its environment, may be NULL. */
MUST_CHECK int victim_start(struct test_context *test, const char *runs, const char *variable, struct victim *ret,
                            struct error *err);
/** Wait for its next step; *step is that step's name. Caller frees. */
MUST_CHECK int victim_next(struct victim *victim, char **step, struct error *err);
/** Let it go on: past `steps` steps. */
MUST_CHECK int victim_go(struct victim *victim, size_t steps, struct error *err);
/** Let it go on until it announces `step`. */
MUST_CHECK int victim_run_to(struct victim *victim, const char *step, struct error *err);
/** True while itself or any process it started is alive. */
bool victim_lives(struct victim *victim);
/** Wait until nothing of its runs directory is left: processes, reapers, runs, control groups, mounts. */
MUST_CHECK int victim_wait_gone(struct victim *victim, struct deadline deadline, struct error *err);
