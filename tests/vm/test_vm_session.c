/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "harness/session.h"
#include "tests/vm/vm_scenario.h"

/*
 * Not tests of anything: CTest runs `setup` before and `cleanup` after everything that requires the fixture vm_session.
 * Run alone, every scenario brings up a stack of its own.
 */

FLEET_TEST(vm_session, setup, .gate = "vm", VM_NEEDS)
{
    static const struct vm_stack_options one_device = {.devices = 1};
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(vm_stack_free) struct vm_stack *stack = NULL;

    if (!session_path()) {
        printf("FLEET_E2E_SESSION is not set: every test brings up its own\n");
        return 0;
    }
    TRY(session_begin(&run, err));
    TRY(vm_stack_new(run, test->timeline, &one_device, &stack, err));
    TRY(vm_stack_publish_session(stack, err));
    vm_stack_print(stack);
    return 0;
}

FLEET_TEST(vm_session, cleanup, .gate = "vm", VM_NEEDS)
{
    TRY(session_end(err));
    return 0;
}
