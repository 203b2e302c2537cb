/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "tests/host/scenario.h"

/* How long the neighbour is watched after the other device's workload runs: six of its reconciles and four heartbeats. */
#define WATCHED_MS 2000

struct watched {
    struct podman_recorder *recorder;
    const char *device;
    int64_t until_ms;
};

/** Met when the time is over; an event of the watched device ends the wait at once. */
static int stays_quiet(void *context, struct text_buffer *state, struct error *err)
{
    const struct watched *watched = context;
    size_t events = podman_recorder_count(watched->recorder, watched->device);

    text_buffer_format(state, "%zu container events of %s", events, watched->device);
    if (events)
        return error_set(err, &check_error_domain, 1, "watching podman events of", watched->device,
                         "%zu events where none was expected", events);
    return clock_monotonic_ms() >= watched->until_ms;
}

FLEET_TEST(host_isolation, neighbours_key_is_not_touched, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(host_agent_free) struct host_agent *neighbour = NULL;
    CLEANUP(podman_recorder_free) struct podman_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};
    static const struct wait_options options = {.interval_ms = 20};

    TRY(scenario_new(test, false, &scenario, err));
    struct podman_host *podman = host_stack_podman(scenario.stack);
    struct host_agent_options neighbour_options = {.podman = podman, .reconcile_interval_ms = 300};
    TRY(host_agent_new(scenario.stack, &neighbour_options, &neighbour, err));
    TRY(podman_recorder_start(podman, &recorder, err));

    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, scenario.port);
    TRY(scenario_deploy(&scenario, score, NULL, err));
    struct watched watched = {recorder, host_agent_device(neighbour), clock_monotonic_ms() + WATCHED_MS};
    TRY(wait_until("the watched time to pass", stays_quiet, &watched, &options, deadline_in_ms(WATCHED_MS + 5000),
                   err));

    /* The watch would have seen it: the addressed device's own container did cause events. */
    CHECK(podman_recorder_count(recorder, host_agent_device(scenario.agent)) > 0, "the recorder saw nothing at all");
    CLEANUP(device_state_free) struct device_state *state = NULL;
    TRY(admin_get_state(host_stack_admin(scenario.stack), host_agent_device(neighbour), scenario.deployment, &state,
                        err));
    CHECK(state == NULL, "the neighbour reports %s about a deployment that is not its own",
          deployment_phase_name(state->phase));
    TRY(scenario_remove(&scenario, err));
    TRY(podman_recorder_stop(recorder, host_agent_device(neighbour), &events, err));
    CHECK(events.count == 0, "first event of the neighbour: %s", events.items[0]);
    TRY(host_agent_finish(&neighbour, err));
    return scenario_finish(&scenario, err);
}

/* One agent may not even remove what carries its neighbour's label, whatever the deployment's name. */
FLEET_TEST(host_isolation, same_deployment_name_on_two_devices, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(podman_host_free) struct podman_host *second_podman = NULL;
    CLEANUP(host_agent_free) struct host_agent *second = NULL;
    cleanup_container_list struct podman_container_list before = {0};
    cleanup_container_list struct podman_container_list after = {0};
    struct run *run = NULL;
    uint64_t revision;

    TRY(scenario_new(test, false, &scenario, err));
    TRY(test_run(test, &run, err));
    TRY(podman_host_new(run, test->timeline, "second-podman", &second_podman, err));
    struct host_agent_options options = {.podman = second_podman, .reconcile_interval_ms = 300};
    TRY(host_agent_new(scenario.stack, &options, &second, err));
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, 0);
    struct nats_connection *admin = host_stack_admin(scenario.stack);
    const char *device = host_agent_device(second);
    TRY(scenario_deploy(&scenario, score, NULL, err));
    TRY(admin_put(admin, device, scenario.deployment, score, &revision, err));
    TRY(wait_for_phase(admin, device, scenario.deployment, PHASE_RUNNING, revision, deadline_in_ms(SCENARIO_MS), NULL,
                       err));
    TRY(podman_host_ps(second_podman, device, &before, err));
    CHECK(before.count == 1, "%zu containers on the second device", before.count);

    TRY(scenario_remove(&scenario, err));
    TRY(podman_host_ps(second_podman, device, &after, err));
    CHECK(after.count == 1 && text_equal(after.items[0].id, before.items[0].id),
          "the second device's container changed when the first one's was deleted");
    TRY(host_agent_finish(&second, err));
    return scenario_finish(&scenario, err);
}
