/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/vm/vm_scenario.h"

/* Long enough for every open connection to notice, were it not built to outlast that. */
#define PARTITION_MS 20000
#define PING_MS      2000

/** Plug the cable in again, however the body ends. */
struct unplugged_device {
    struct vm_device *device; /**< NULL: it is done */
};

static void unplugged_device_at_exit(const struct unplugged_device *unplugged_device)
{
    cleanup_error struct error err = ERROR_INIT;

    if (unplugged_device->device && (vm_device_set_link(unplugged_device->device, true, &err) < 0 ||
                                     vm_device_reconnect(unplugged_device->device, &err) < 0))
        fprintf(stderr, "the device cannot be reached again: %s\n", error_root_detail(&err));
}
#define cleanup_unplugged_device __attribute__((cleanup(unplugged_device_at_exit)))

/** What may not change while the device cannot be reached. */
struct partition {
    struct vm_scenario *scenario;
    uint64_t revision; /**< put meanwhile */
    struct deadline end;
};

static int nothing_arrives(void *context, struct text_buffer *text, struct error *err)
{
    const struct partition *partition = context;
    const struct vm_scenario *scenario = partition->scenario;
    CLEANUP(device_state_free) struct device_state *state = NULL;

    if (admin_get_state(vm_scenario_admin(scenario), vm_device_id(scenario->device), scenario->deployment, &state,
                        err) < 0)
        return -1;
    CHECK(state && state->revision < partition->revision, "the device reports about what it cannot have read");
    text_buffer_format(text, "about revision %" PRIu64, state->revision);
    return deadline_passed(partition->end);
}

/** Nobody answers: at first NATS does not know that the device is gone. */
static int expect_no_answer(struct vm_scenario *scenario, struct error *err)
{
    cleanup_error struct error failure = ERROR_INIT;
    struct ping_reply *reply = NULL;

    int result = fleet_ping(host_stack_commands(vm_stack_infra(scenario->stack)), vm_device_id(scenario->device),
                            deadline_in_ms(PING_MS), &reply, &failure);
    ping_reply_free(reply);
    CHECK(result < 0, "a ping was answered over a cable that is not plugged in");
    CHECK(error_is(&failure, &command_error_domain, COMMAND_TIMEOUT) ||
              error_is(&failure, &command_error_domain, COMMAND_DEVICE_OFFLINE),
          "the ping failed otherwise: %s", error_root_detail(&failure));
    return 0;
}

/** Unplug, put v2 meanwhile, and stay unplugged for the whole time. *revision: of v2. */
static int be_unplugged(struct vm_scenario *scenario, uint64_t *revision, struct error *err)
{
    static const struct wait_options options = {.interval_ms = 50};
    CLEANUP(score_free) struct score *score = vm_scenario_web(scenario, "v2");
    struct partition partition = {.scenario = scenario};

    TRY(vm_device_set_link(scenario->device, false, err));
    partition.end = deadline_in_ms(PARTITION_MS);
    TRY(expect_no_answer(scenario, err));
    TRY(admin_put(vm_scenario_admin(scenario), vm_device_id(scenario->device), scenario->deployment, score, revision,
                  err));
    partition.revision = *revision;
    TRY(wait_until("the partition's time to pass", nothing_arrives, &partition, &options,
                   deadline_in_ms(PARTITION_MS + VM_STEP_MS), err));
    return expect_no_answer(scenario, err);
}

FLEET_TEST(vm_partition, what_was_put_meanwhile_is_applied, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *agent = NULL;
    cleanup_free char *agent_after = NULL;
    cleanup_container_list struct podman_container_list list = {0};
    uint64_t revision = 0;

    TRY(vm_scenario_with_web(test, &scenario, &id, err));
    TRY(vm_agent_property(scenario.device, "InvocationID", &agent, err));
    cleanup_unplugged_device struct unplugged_device unplugged = {scenario.device};
    TRY(be_unplugged(&scenario, &revision, err));

    TRY(vm_device_set_link(scenario.device, true, err));
    TRY(vm_device_reconnect(scenario.device, err));
    unplugged.device = NULL;
    TRY(wait_for_phase(vm_scenario_admin(&scenario), vm_device_id(scenario.device), scenario.deployment, PHASE_RUNNING,
                       revision, deadline_in_ms(VM_STEP_MS), NULL, err));
    TRY(vm_scenario_container(&scenario, &list, err));
    CHECK(!text_equal(list.items[0].id, id), "the container was not replaced");
    TRY(vm_scenario_expect_body(&scenario, "/version", "v2", err));
    TRY(vm_scenario_wait_for_ping(&scenario, NULL, err));
    TRY(vm_agent_property(scenario.device, "InvocationID", &agent_after, err));
    CHECK(text_equal(agent, agent_after), "the agent was started anew, it did not reconnect");
    TRY(vm_scenario_remove(&scenario, err));
    return vm_scenario_finish(&scenario, err);
}
