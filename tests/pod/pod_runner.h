/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A device that runs containers, for scenarios in a cluster: an agent on this host, on a podman of its own, joined to the
 * stack's NATS.
 */

#include "tests/pod/pod_scenario.h"

#define POD_RUNNER_NEEDS NEEDS(CAPABILITY_CLUSTER, CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES)

struct runner {
    struct podman_host *podman;
    struct host_agent *agent;
    const char *device; /**< borrowed, of the agent */
};
/** With the one label POD_LABEL=`label`. */
MUST_CHECK int runner_new(struct test_context *test, struct stack *stack, const char *label, struct runner *ret,
                          struct error *err);
void runner_clear(struct runner *runner);
#define cleanup_runner __attribute__((cleanup(runner_clear)))
