/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Undoing a run; done by its owner when it finishes, by its reaper when the owner is gone, by a later run or a person
 * when the reaper is gone too. Everything here may be done twice and by several at once.
 */

#include "base/deadline.h"
#include "base/error.h"
#include "harness/journal.h"
#include "harness/resource.h"

/** The note that a run could not be undone, in its directory. */
#define UNDO_FAILED_NOTE "undo-failed"

/**
 * Undo every resource in the journal that is not undone, newest first, and mark it so. What is busy is tried again
 * until the deadline. Goes on after a failure and reports the first.
 */
MUST_CHECK int undo_resources(const struct run_place *place, struct deadline deadline, struct error *err);

/**
 * undo_resources, then end every process that carries the run's mark under any name, end the journal and remove the
 * directory. On failure the directory stays, with the journal and a note UNDO_FAILED_NOTE saying what is left.
 */
MUST_CHECK int undo_run(const struct run_place *place, struct deadline deadline, struct error *err);
