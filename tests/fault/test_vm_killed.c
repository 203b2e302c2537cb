/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "harness/test.h"
#include "tests/fault/kill_in_phase.h"
#include "tests/vm/vm_scenario.h"

FLEET_TEST(vm_killed, stack_that_is_up_leaves_nothing, .gate = "vm", VM_NEEDS)
{
    struct victim_report report = {0};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    int result = kill_victim(run, (struct victim_moment){.stack = "vm", .delay_ms = -1}, &report, err);
    free(report.phase);
    TRY(result);
    return 0;
}

/* A bring-up takes seconds: only the phases between which more is there than before. */
FLEET_TEST(vm_killed, bring_up_leaves_nothing_in_any_phase, .gate = "vm", VM_NEEDS)
{
    static const char *const phases[] = {"hypervisor", "registry", "VM restore", "VM sshd", "upload agent"};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
        TRY(kill_in_phase(run, "vm", phases[i], err));
    return 0;
}
