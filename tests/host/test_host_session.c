/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fixtures/host_stack.h"
#include "harness/session.h"

/*
 * Not tests of anything: CTest runs `setup` before and `cleanup` after everything that requires the fixture
 * host_session. Run alone, every host test brings up a stack of its own.
 */

#define NEEDS_ALL NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES)

FLEET_TEST(host_session, setup, .gate = "host", NEEDS_ALL)
{
    static const struct host_stack_options with_podman = {.with_podman = true};
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;

    if (!session_path()) {
        printf("FLEET_E2E_SESSION is not set: every test brings up its own\n");
        return 0;
    }
    TRY(session_begin(&run, err));
    TRY(host_stack_new(run, test->timeline, &with_podman, &stack, err));
    TRY(host_stack_publish_session(stack, err));
    host_stack_print(stack);
    return 0;
}

FLEET_TEST(host_session, cleanup, .gate = "host", NEEDS_ALL)
{
    TRY(session_end(err));
    return 0;
}
