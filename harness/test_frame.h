/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What test_execute keeps of the test it runs, and its gates.
 */

#include "harness/test.h"

struct test_frame {
    const struct test_definition *definition;
    struct test_context context;
    pid_t process;   /**< whose test it is; children the body forks are not */
    char *artefacts; /**< context.artefacts; owned */
    bool collected;  /**< context.collect was called */
};

/**
 * Why this test cannot run here: "<capability>: <gap> — <remedy>" of its gate or of the first capability that is
 * missing, one line; NULL when nothing is missing. Caller frees.
 */
char *test_find_gap(const struct test_definition *definition);

/** True if FLEET_E2E_REQUIRE (a comma list) names its gate; a test that only needs capabilities counts as "host". */
bool test_is_required(const struct test_definition *definition);

/** Where the bundle of the test is, should it fail: <report>/bundles/<suite>.<name>-<pid>. Caller frees. */
char *test_bundle_path(const struct test_definition *definition, pid_t process);
/** Write the failure and, unless NULL, the timeline's table into the bundle; what fails is said on stderr. */
void test_bundle_write(const char *bundle, const char *failure, const struct timeline *timeline);
