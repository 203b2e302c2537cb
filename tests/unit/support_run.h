/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs that a test starts itself.
 */

#include "harness/test.h"

/** Runs from now on live in the test's own run, out of the sight of others, and are not kept. Errors: as test_run(). */
MUST_CHECK int support_private_runs(struct test_context *test, struct error *err);
/** The same, and one started there. Freed by run_release or run_finish. */
MUST_CHECK int support_private_run(struct test_context *test, struct run **ret, struct error *err);
