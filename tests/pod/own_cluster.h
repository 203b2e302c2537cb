/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A native cluster of the test's own, which may be broken; it goes with the test's run.
 */

#include "fixtures/cluster_admin.h"
#include "harness/test.h"

struct own_cluster {
    struct run *run;
    char *directory;
    char *mark;
    struct cluster_native_place place;
};
void own_cluster_clear(struct own_cluster *own);
#define cleanup_own_cluster __attribute__((cleanup(own_cluster_clear)))

/** Journal what a cluster of its own will be; nothing is brought up yet. */
MUST_CHECK int own_cluster_name(struct test_context *test, struct own_cluster *ret, struct error *err);
