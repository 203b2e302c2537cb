/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "harness/session.h"
#include "tests/pod/pod_scenario.h"

/*
 * Not tests of anything: CTest runs `setup` before and `cleanup` after everything that requires the fixture
 * pod_session. Run alone, every scenario brings up a stack of its own.
 */

FLEET_TEST(pod_session, setup, .gate = "pod", POD_NEEDS)
{
    static const struct stack_options one_device = {
        .num_devices = 1, .heartbeat_interval_ms = 500, .offline_after_ms = 3000};
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(stack_free) struct stack *stack = NULL;

    if (!session_path()) {
        printf("FLEET_E2E_SESSION is not set: every test brings up its own\n");
        return 0;
    }
    TRY(session_begin(&run, err));
    TRY(stack_new(run, test->timeline, &one_device, &stack, err));
    TRY(stack_publish_session(stack, err));
    stack_print_debug_info(stack);
    return 0;
}

FLEET_TEST(pod_session, cleanup, .gate = "pod", POD_NEEDS)
{
    TRY(session_end(err));
    return 0;
}
