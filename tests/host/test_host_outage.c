/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "tests/host/scenario.h"

static int answers_ping(void *context, struct text_buffer *state, struct error *err)
{
    struct scenario *scenario = context;
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    cleanup_error struct error failure = ERROR_INIT;

    (void)err;
    if (fleet_ping(host_stack_commands(scenario->stack), host_agent_device(scenario->agent), deadline_in_ms(1000),
                   &reply, &failure) == 0)
        return 1;
    cleanup_free char *text = error_text(&failure);
    text_buffer_add(state, text);
    return 0;
}

FLEET_TEST(host_outage, nats_killed_and_restarted, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *new_id = NULL;

    TRY(scenario_with_web(test, true, &scenario, &id, err));
    TRY(host_stack_kill_nats(scenario.stack, err));
    TRY(host_stack_start_nats(scenario.stack, err));
    /* Put right after: the agent may not even have noticed yet, and its watcher may be dead without knowing. */
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V2, scenario.port);
    TRY(scenario_deploy(&scenario, score, NULL, err));
    TRY(scenario_wait_container(&scenario, id, &new_id, err));
    TRY(scenario_expect_body(&scenario, "/version", "v2", err));
    TRY(wait_until("the agent to answer a ping", answers_ping, &scenario, NULL, deadline_in_ms(10000), err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

static int delete_desired_bucket(struct nats_connection *admin, struct error *err)
{
    jsCtx *jetstream = NULL;
    natsStatus status = natsConnection_JetStream(&jetstream, nats_connection_handle(admin), NULL);

    if (status == NATS_OK)
        status = js_DeleteStream(jetstream, "KV_" BUCKET_DESIRED_STATE, NULL, NULL);
    jsCtx_Destroy(jetstream);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "deleting bucket", BUCKET_DESIRED_STATE);
}

static int has_no_revision(void *context, struct text_buffer *text, struct error *err)
{
    const struct scenario *scenario = context;
    CLEANUP(device_state_free) struct device_state *state = NULL;

    if (admin_get_state(host_stack_admin(scenario->stack), host_agent_device(scenario->agent), scenario->deployment,
                        &state, err) < 0)
        return -1;
    if (state)
        text_buffer_format(text, "%s, revision %" PRIu64, deployment_phase_name(state->phase), state->revision);
    return state && state->phase == PHASE_RUNNING && state->revision == 0;
}

/* A store that is lost is no word from anybody: devices go on with what they do. */
FLEET_TEST(host_outage, nats_without_its_store_takes_nothing_away, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_container_list struct podman_container_list after = {0};
    cleanup_container_list struct podman_container_list again = {0};

    TRY(scenario_with_web(test, true, &scenario, &id, err));
    TRY(delete_desired_bucket(host_stack_admin(scenario.stack), err));
    TRY(host_stack_kill_nats(scenario.stack, err));
    TRY(host_stack_start_nats(scenario.stack, err));
    TRY(wait_until("the agent to report without a revision", has_no_revision, &scenario, NULL,
                   deadline_in_ms(SCENARIO_MS), err));
    TRY(scenario_container(&scenario, &after, err));
    CHECK(text_equal(id, after.items[0].id), "the container was replaced");
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, scenario.port);
    TRY(scenario_deploy(&scenario, score, NULL, err));
    TRY(scenario_container(&scenario, &again, err));
    CHECK(text_equal(id, again.items[0].id), "the container was replaced when it was put again");
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_outage, deleted_while_the_agent_was_down, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;

    TRY(scenario_with_web(test, true, &scenario, &id, err));
    TRY(host_agent_kill(scenario.agent, err));
    TRY(admin_delete(host_stack_admin(scenario.stack), host_agent_device(scenario.agent), scenario.deployment, err));
    TRY(host_agent_start(scenario.agent, false, err));
    TRY(scenario_wait_removed(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_outage, agent_killed_and_restarted_restarts_nothing, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_container_list struct podman_container_list after = {0};
    CLEANUP(podman_recorder_free) struct podman_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};
    CLEANUP(device_state_free) struct device_state *state = NULL;

    TRY(scenario_with_web(test, true, &scenario, &id, err));
    TRY(podman_recorder_start(host_stack_podman(scenario.stack), &recorder, err));
    TRY(host_agent_kill(scenario.agent, err));
    TRY(host_agent_start(scenario.agent, false, err));
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, scenario.port);
    TRY(scenario_deploy(&scenario, score, &state,
                        err)); /* the new agent has reconciled once it reports this revision */
    TRY(scenario_container(&scenario, &after, err));
    CHECK(text_equal(id, after.items[0].id), "container %s became %s", id, after.items[0].id);
    TRY(podman_recorder_stop(recorder, host_agent_device(scenario.agent), &events, err));
    CHECK(events.count == 0, "the restarted agent caused: %s", events.items[0]);
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_outage, offline_reboot_brings_every_workload_back, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *back_id = NULL;
    CLEANUP(device_state_free) struct device_state *state = NULL;

    TRY(scenario_with_web(test, true, &scenario, &id, err));
    TRY(host_stack_kill_nats(scenario.stack, err));
    TRY(host_agent_kill(scenario.agent, err));
    TRY(podman_host_reboot(host_stack_podman(scenario.stack), err));
    TRY(host_agent_start(scenario.agent, true, err));
    TRY(scenario_wait_container(&scenario, NULL, &back_id, err));
    TRY(scenario_expect_body(&scenario, "/version", "v1", err));

    TRY(host_stack_start_nats(scenario.stack, err));
    TRY(wait_until("the agent to answer a ping", answers_ping, &scenario, NULL, deadline_in_ms(20000), err));
    TRY(wait_for_phase(host_stack_admin(scenario.stack), host_agent_device(scenario.agent), scenario.deployment,
                       PHASE_RUNNING, 0, deadline_in_ms(SCENARIO_MS), &state, err));
    CHECK(state->container_count == 1 && text_equal(state->containers[0].id, back_id),
          "KV does not report the container that came back");
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_outage, podman_service_killed_and_restarted, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *new_id = NULL;
    cleanup_container_list struct podman_container_list list = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    uint64_t revision;

    TRY(scenario_with_web(test, true, &scenario, &id, err));
    struct podman_host *podman = host_stack_podman(scenario.stack);
    struct nats_connection *admin = host_stack_admin(scenario.stack);
    const char *device = host_agent_device(scenario.agent);
    TRY(podman_host_kill_service(podman, err));
    /* The command server never waits on podman. */
    TRY(fleet_ping(host_stack_commands(scenario.stack), device, deadline_in_ms(1000), &reply, err));
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V2, scenario.port);
    TRY(admin_put(admin, device, scenario.deployment, score, &revision, err));
    TRY(podman_host_start_service(podman, err));
    TRY(scenario_wait_container(&scenario, id, &new_id, err));
    TRY(scenario_expect_body(&scenario, "/version", "v2", err));
    /* Its event stream is back too: a removal is noticed. */
    const char *const remove[] = {"rm", "--force", "--time", "0", new_id, NULL};
    TRY(podman_host_cli(podman, remove, NULL, err));
    cleanup_free char *third_id = NULL;
    TRY(scenario_wait_container(&scenario, new_id, &third_id, err));
    TRY(scenario_container(&scenario, &list, err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_outage, containers_outlive_a_stopped_agent, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_container_list struct podman_container_list after = {0};
    int exit_code = -1;
    int64_t took_ms = 0;

    TRY(scenario_with_web(test, true, &scenario, &id, err));
    TRY(host_agent_stop(scenario.agent, &exit_code, &took_ms, err));
    CHECK(exit_code == 0, "exit code %d", exit_code);
    CHECK(took_ms < 1000, "SIGTERM to exit took %" PRId64 " ms", took_ms);
    TRY(scenario_container(&scenario, &after, err));
    CHECK(text_equal(id, after.items[0].id), "the container was replaced");
    TRY(host_agent_start(scenario.agent, false, err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}
