/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where runs live: <runs directory>/<run id>/{journal, reaper.lock, reaper.log, finished, undo-failed, …}.
 */

#include "base/error.h"
#include "base/text.h"

#define RUN_ID_PREFIX   "fleet-e2e-"
#define RUN_ID_SIZE     (sizeof(RUN_ID_PREFIX) + 8) /* with the terminator */
#define DOMAIN_PREFIX   RUN_ID_PREFIX "vm-"         /* of every virtual machine */
#define RUN_KEEP        "FLEET_E2E_KEEP"
#define RUN_MARK        "FLEET_E2E_MARK"
#define RUN_FINISHED    "finished"    /* its owner has undone everything: the reaper may go */
#define RUN_REAPER_LOCK "reaper.lock" /* locked by whoever will undo the run, for as long as they live */

/** "fleet-e2e-" and 8 hex digits. */
bool run_id_is_valid(const char *id);
/** Make runs_directory() (0700); refuse one that is a link, somebody else's or open to others. */
MUST_CHECK int runs_directory_ensure(struct error *err);
/** Make and lock the runs directory: runs come into being and are chosen for pruning under it. The caller closes *ret. */
MUST_CHECK int runs_lock(int *ret, struct error *err);
/** Remove the runs directory when it is empty and nobody chose it (FLEET_E2E_RUNS): the last one out leaves no trace. */
void runs_directory_tidy(void);
/** Ids of all runs there are. */
MUST_CHECK int runs_list(struct text_list *ret, struct error *err);

/**
 * Take the reaper's place for a run. *ret is the lock (the caller closes it) or -1 when somebody else has it; system/
 * ENOENT when the run is gone.
 */
MUST_CHECK int reaper_lock(const char *directory, int *ret, struct error *err);
