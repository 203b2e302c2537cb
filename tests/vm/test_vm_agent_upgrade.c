/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/vm/vm_scenario.h"

#define PROGRAM_MAX (64u << 20)

/* What runs, not what lies on the disk. */
static const char size_of_running_program[] =
    "stat --dereference --format=%s /proc/$(systemctl show --value --property=MainPID " DEVICE_AGENT_SERVICE ")/exe";

/** The same program, with bytes behind its end that no loader looks at. Caller frees *path. */
static int make_other_build(const char *program, const char *directory, char **path, size_t *size, struct error *err)
{
    static const char added[] = "another build";
    cleanup_free char *data = NULL;
    cleanup_free char *other = text_format("%s/harmony-fleet-agent", directory);
    size_t original;

    if (file_read(program, PROGRAM_MAX, &data, &original, err) < 0)
        return -1;
    *size = original + sizeof(added);
    data = memory_resize(data, *size, 1);
    memcpy(data + original, added, sizeof(added));
    if (file_write_atomic(other, data, *size, 0755, err) < 0)
        return -1;
    *path = TAKE_PTR(other);
    return 0;
}

/** Put the original agent back, however the body ends. */
struct upgraded_agent {
    struct vm_device *device; /**< NULL: it is done */
};

static void upgraded_agent_at_exit(const struct upgraded_agent *upgraded_agent)
{
    cleanup_error struct error err = ERROR_INIT;
    bool changed;

    if (upgraded_agent->device && vm_device_setup(upgraded_agent->device, NULL, &changed, &err) < 0)
        fprintf(stderr, "the original agent cannot be put back: %s\n", error_root_detail(&err));
}
#define cleanup_upgraded_agent __attribute__((cleanup(upgraded_agent_at_exit)))

static int expect_running_size(struct vm_device *device, size_t size, struct error *err)
{
    cleanup_free char *running = NULL;

    if (vm_device_line(device, size_of_running_program, &running, err) < 0)
        return -1;
    CHECK(strtoull(running, NULL, 10) == size, "an agent of %s bytes runs, not of %zu", running, size);
    return 0;
}

FLEET_TEST(vm_agent_upgrade, containers_are_not_touched, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *started = NULL;
    cleanup_free char *started_after = NULL;
    cleanup_free char *other = NULL;
    struct run *run = NULL;
    size_t size = 0;
    bool changed = false;

    TRY(vm_scenario_with_web(test, &scenario, &id, err));
    cleanup_free char *when = text_format("podman inspect --format='{{.State.StartedAt}}' %s", id);
    TRY(vm_device_line(scenario.device, when, &started, err));
    TRY(test_run(test, &run, err));
    TRY(make_other_build(vm_device_agent_program(scenario.device), run_directory(run), &other, &size, err));

    cleanup_upgraded_agent struct upgraded_agent upgraded = {scenario.device};
    struct phase *upgrade = phase_begin(test->timeline, "upgrade the agent");
    TRY(vm_device_setup(scenario.device, other, &changed, err)); /* answers a ping, says its smoke check */
    phase_end(upgrade, NULL);
    CHECK(changed, "setting up with another agent changed nothing");
    TRY(expect_running_size(scenario.device, size, err));
    TRY(vm_scenario_wait_for_ping(&scenario, NULL, err));
    TRY(vm_scenario_expect_container(&scenario, id, err));
    TRY(vm_device_line(scenario.device, when, &started_after, err));
    CHECK(text_equal(started, started_after), "the container was restarted at %s", started_after);
    TRY(vm_device_setup(scenario.device, other, &changed, err));
    CHECK(!changed, "setting up with the same agent again changed something");

    TRY(vm_device_setup(scenario.device, NULL, &changed, err));
    upgraded.device = NULL;
    CHECK(changed, "putting the original agent back changed nothing");
    TRY(expect_running_size(scenario.device, size - sizeof("another build"), err));
    TRY(vm_scenario_expect_container(&scenario, id, err));
    TRY(vm_scenario_remove(&scenario, err));
    return vm_scenario_finish(&scenario, err);
}
