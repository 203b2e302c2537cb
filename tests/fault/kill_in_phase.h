/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Killing bring-ups in tests, with what a person would accept.
 */

#include "harness/run.h"
#include "tests/fault/bring_up_kill.h"

/** Kill one victim in a directory of its own; CHECK that it vanished soon. *report: as victim_kill(). */
MUST_CHECK int kill_victim(struct run *run, struct victim_moment moment, struct victim_report *report,
                           struct error *err);
/** Kill one victim after the other until one was in `phase` when it died: the signal may come just too late. */
MUST_CHECK int kill_in_phase(struct run *run, const char *stack, const char *phase, struct error *err);
