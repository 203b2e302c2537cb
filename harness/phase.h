/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Phases: what a test or bring-up spends its time on, nested. Shown live (a moving line on a terminal, one line each on
 * a pipe) and recorded for the report. One timeline per process, used from one thread; phase_begin on none is a no-op.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct timeline;
/** `record_path`: where the record is kept (one JSON document, rewritten atomically); NULL: none. */
MUST_CHECK int timeline_new(const char *suite, const char *name, const char *record_path, struct timeline **ret,
                            struct error *err);
void timeline_free(struct timeline *timeline);
DEFINE_CLEANUP(struct timeline *, timeline_free)

struct phase;
/** Begin a phase inside the one that is open. `timeline` NULL gives NULL. */
struct phase *phase_begin(struct timeline *timeline, const char *name);
/** End it (and any left open inside). `err` set marks it failed; NULL or unset: well. NULL phase is fine. */
void phase_end(struct phase *phase, const struct error *err);
/**
 * Put down, inside the phase that is open, one that has ended already: another thread, which may not use the timeline,
 * took the times (clock_monotonic_us()). `failure`: why it failed, NULL: it did not.
 */
void phase_add(struct timeline *timeline, const char *name, int64_t began_us, int64_t ended_us, const char *failure);
/** Milliseconds it took (so far). */
int64_t phase_ms(const struct phase *phase);

enum test_result { RESULT_RUNNING, RESULT_PASSED, RESULT_FAILED, RESULT_SKIPPED, RESULT_CRASHED };
/** Close the record. `message`: why it failed or was skipped; `bundle`: its directory or NULL. */
MUST_CHECK int timeline_finish(struct timeline *timeline, enum test_result result, const char *message,
                               const char *bundle, struct error *err);
/** The nested table "phase  ms" as text, for the end of a run. Caller frees. */
char *timeline_table(const struct timeline *timeline);
