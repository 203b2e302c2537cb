/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fixtures/host_stack.h"
#include "harness/session.h"

/*
 * Not tests of anything: CTest runs `setup` before and `cleanup` after everything that requires the fixture
 * host_session. Run alone, every host test brings up a stack of its own.
 */

#define NEEDS_ALL NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES)

/** What a ctest left that was killed between setup and cleanup, and whose reaper has not finished yet. */
static int end_former(struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *former = NULL;

    if (session_read(&former, err) < 0)
        return -1;
    return former ? session_end(err) : 0;
}

FLEET_TEST(host_session, setup, .gate = "host", NEEDS_ALL)
{
    static const struct host_stack_options with_podman = {.with_podman = true};
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    struct run_options options = {.label = "session", .owner = session_owner()};

    if (!session_path()) {
        printf("FLEET_E2E_SESSION is not set: every test brings up its own\n");
        return 0;
    }
    TRY(end_former(err));
    TRY(run_start(&options, &run, err));
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
