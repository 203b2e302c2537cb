/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A local host inside a test's run: what is deployed to it is journalled there and ends with the test.
 */

#include "deploy/local_host.h"
#include "harness/test.h"

struct test_host {
    struct run *run;
    char *directory; /**< for scores' directories; in the run's */
    char *mark;
    struct local_host *local;
    struct topology topology;
};
MUST_CHECK int test_host_new(struct test_context *test, struct test_host *ret, struct error *err);
void test_host_clear(struct test_host *host);
static inline void test_host_clear_at_exit(struct test_host *host)
{
    test_host_clear(host);
}
#define cleanup_test_host __attribute__((cleanup(test_host_clear_at_exit)))
