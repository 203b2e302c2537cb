/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A session shares costly fixtures between the test processes of one CTest run. Its setup test brings them up in a run
 * whose owner is the ctest process, and writes what the others need to know into the session file; the cleanup test
 * ends the run. Killing ctest at any moment leaves the rest to the run's reaper.
 * What stays up must not have inherited the setup test's stdout or stderr: ctest waits until nobody holds them.
 */

#include <cjson/cJSON.h>

#include "base/error.h"
#include "harness/run.h"

/** Member of a session's document: the directory of its run. */
#define SESSION_RUN_MEMBER "run_directory"

/** Path of the session file ($FLEET_E2E_SESSION), NULL: no session, bring up your own. Borrowed. */
const char *session_path(void);
/** The process whose end ends the session: the ctest that (directly or not) started us, else our parent. */
pid_t session_owner(void);
/**
 * Begin a session: end what a former ctest left that was killed between setup and cleanup and whose reaper has not
 * finished yet, and start the run that ends with this session's owner.
 */
MUST_CHECK int session_begin(struct run **ret, struct error *err);
/** Write the session file atomically (0600): `document` gets the run's directory added. */
MUST_CHECK int session_write(struct run *run, cJSON *document, struct error *err);
/** *ret is NULL (and 0 returned) when there is no session or its run is gone. Freed by cJSON_Delete. */
MUST_CHECK int session_read(cJSON **ret, struct error *err);
/** End the session: finish its run (or print how to inspect and remove it when kept), remove the file. */
MUST_CHECK int session_end(struct error *err);
