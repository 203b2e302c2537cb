/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "tests/vm/vm_scenario.h"

FLEET_TEST(vm_ping, is_answered, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    cleanup_free char *boot_age = NULL;

    TRY(vm_scenario_new(test, &scenario, err));
    const char *device = vm_device_id(scenario.device);
    TRY(fleet_ping(host_stack_commands(vm_stack_infra(scenario.stack)), device, deadline_in_ms(10000), &reply, err));
    CHECK(text_equal(reply->device_id, device), "it calls itself %s", reply->device_id);
    CHECK(text_equal(reply->agent_version, FLEET_VERSION), "version %s", reply->agent_version);
    TRY(vm_device_line(scenario.device, "cut -d. -f1 /proc/uptime", &boot_age, err));
    int64_t boot_age_s = strtoll(boot_age, NULL, 10);
    CHECK(reply->uptime_s >= 0 && reply->uptime_s <= boot_age_s, "uptime %" PRId64 " s, of the machine %" PRId64 " s",
          reply->uptime_s, boot_age_s);
    return vm_scenario_finish(&scenario, err);
}
