/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/vm/vm_scenario.h"

#define OFFLINE_MAX_MS 1000

/** Start the agent again, however the body ends. */
struct stopped_agent {
    struct vm_device *device; /**< NULL: it is done */
};

static void stopped_agent_at_exit(const struct stopped_agent *stopped_agent)
{
    cleanup_error struct error err = ERROR_INIT;

    if (stopped_agent->device &&
        vm_device_shell(stopped_agent->device, "systemctl start " DEVICE_AGENT_SERVICE, NULL, &err) < 0)
        fprintf(stderr, "the agent cannot be started again: %s\n", error_root_detail(&err));
}
#define cleanup_stopped_agent __attribute__((cleanup(stopped_agent_at_exit)))

FLEET_TEST(vm_offline, stopped_agent_is_known_at_once, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    struct ping_reply *reply = NULL;

    TRY(vm_scenario_new(test, &scenario, err));
    struct fleet_commands_client *commands = host_stack_commands(vm_stack_infra(scenario.stack));
    cleanup_stopped_agent struct stopped_agent stopped = {scenario.device};
    TRY(vm_device_shell(scenario.device, "systemctl stop " DEVICE_AGENT_SERVICE, NULL, err));
    int64_t asked_ms = clock_monotonic_ms();
    CHECK_FAILS(fleet_ping(commands, vm_device_id(scenario.device), deadline_in_ms(10000), &reply, err),
                command_error_domain, COMMAND_DEVICE_OFFLINE);
    int64_t took_ms = clock_monotonic_ms() - asked_ms;
    CHECK(took_ms < OFFLINE_MAX_MS, "it took %" PRId64 " ms", took_ms);

    TRY(vm_device_shell(scenario.device, "systemctl start " DEVICE_AGENT_SERVICE, NULL, err));
    stopped.device = NULL;
    TRY(vm_scenario_wait_for_ping(&scenario, NULL, err));
    return vm_scenario_finish(&scenario, err);
}
