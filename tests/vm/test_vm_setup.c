/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/vm/vm_scenario.h"

/* systemd's own name of "a unit was started": systemd.journal-fields(7), sd-messages.h. */
#define UNIT_STARTED "39f53479d3a045ac8e11786248231fbf"

FLEET_TEST(vm_setup, second_run_changes_nothing, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_free char *agent = NULL;
    cleanup_free char *agent_after = NULL;
    bool changed = true;

    TRY(vm_scenario_new(test, &scenario, err));
    TRY(vm_agent_property(scenario.device, "InvocationID", &agent, err));
    TRY(vm_device_setup(scenario.device, NULL, &changed, err));
    CHECK(!changed, "setting up a device that is set up changed something");
    TRY(vm_agent_property(scenario.device, "InvocationID", &agent_after, err));
    CHECK(text_equal(agent, agent_after), "and the agent was restarted");
    return vm_scenario_finish(&scenario, err);
}

/** How often the agent was started since then ("@seconds"), by the journal. */
static int count_starts(struct vm_device *device, const char *since, int *ret, struct error *err)
{
    cleanup_free char *command =
        text_format("journalctl --sync; journalctl --quiet --output=cat --since=%s "
                    "MESSAGE_ID=" UNIT_STARTED " UNIT=" DEVICE_AGENT_SERVICE ".service | wc -l",
                    since);
    cleanup_free char *count = NULL;

    if (vm_device_line(device, command, &count, err) < 0)
        return -1;
    *ret = (int)strtol(count, NULL, 10);
    return 0;
}

FLEET_TEST(vm_setup, edited_configuration_is_put_right, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_free char *before = NULL;
    cleanup_free char *after = NULL;
    cleanup_free char *since = NULL;
    bool changed = false;
    int starts = -1;

    TRY(vm_scenario_new(test, &scenario, err));
    TRY(vm_device_shell(scenario.device, "cat " AGENT_CONFIG, &before, err));
    TRY(vm_device_line(scenario.device, "date +@%s.%6N", &since, err));
    TRY(vm_device_shell(scenario.device, "sed -i 's|nats://|nats://by-hand.|' " AGENT_CONFIG, NULL, err));
    TRY(vm_device_setup(scenario.device, NULL, &changed, err));
    CHECK(changed, "an edited configuration was left as it was");
    TRY(vm_device_shell(scenario.device, "cat " AGENT_CONFIG, &after, err));
    CHECK(text_equal(before, after), "the configuration is now:\n%s", after);
    TRY(count_starts(scenario.device, since, &starts, err));
    CHECK(starts == 1, "the agent was started %d times", starts);
    TRY(vm_scenario_wait_for_ping(&scenario, NULL, err));
    return vm_scenario_finish(&scenario, err);
}

FLEET_TEST(vm_setup, unit_is_hardened, .gate = "vm", VM_NEEDS)
{
    static const struct {
        const char *property;
        const char *value;
    } expected[] = {
        {"Type", "notify"},        {"NoNewPrivileges", "yes"},   {"ProtectSystem", "strict"},
        {"ActiveState", "active"}, {"UnitFileState", "enabled"},
    };
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_free char *watchdog = NULL;

    TRY(vm_scenario_new(test, &scenario, err));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        cleanup_free char *value = NULL;
        TRY(vm_agent_property(scenario.device, expected[i].property, &value, err));
        CHECK(text_equal(value, expected[i].value), "%s=%s, not %s", expected[i].property, value, expected[i].value);
    }
    TRY(vm_agent_property(scenario.device, "WatchdogUSec", &watchdog, err));
    CHECK(*watchdog && !text_equal(watchdog, "0") && !text_equal(watchdog, "infinity"), "WatchdogUSec=%s", watchdog);
    return vm_scenario_finish(&scenario, err);
}
