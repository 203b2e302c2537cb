/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "tests/host/inspected.h"
#include "tests/host/scenario.h"

FLEET_TEST(host_deploy_lifecycle, deploy_upgrade_delete, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(device_state_free) struct device_state *first = NULL;
    CLEANUP(device_state_free) struct device_state *second = NULL;
    cleanup_container_list struct podman_container_list v1 = {0};
    cleanup_container_list struct podman_container_list v2 = {0};

    TRY(scenario_new(test, false, &scenario, err));
    struct phase *deploy = phase_begin(test->timeline, "deploy v1");
    CLEANUP(score_free) struct score *score_v1 = scenario_hello_web(IMAGE_HELLO_WEB_V1, scenario.port);
    TRY(scenario_deploy(&scenario, score_v1, &first, err));
    TRY(scenario_container(&scenario, &v1, err));
    TRY(expect_reported_container(first, &v1, IMAGE_HELLO_WEB_V1, err));
    TRY(scenario_expect_body(&scenario, "/version", "v1", err));
    phase_end(deploy, NULL);

    struct phase *upgrade = phase_begin(test->timeline, "upgrade to v2");
    CLEANUP(score_free) struct score *score_v2 = scenario_hello_web(IMAGE_HELLO_WEB_V2, scenario.port);
    TRY(scenario_deploy(&scenario, score_v2, &second, err));
    TRY(scenario_container(&scenario, &v2, err));
    TRY(expect_reported_container(second, &v2, IMAGE_HELLO_WEB_V2, err));
    CHECK(!text_equal(v1.items[0].id, v2.items[0].id), "the container was not replaced");
    CHECK(second->revision > first->revision, "revision %" PRIu64 " after %" PRIu64, second->revision, first->revision);
    TRY(scenario_expect_body(&scenario, "/version", "v2", err));
    phase_end(upgrade, NULL);

    struct phase *delete = phase_begin(test->timeline, "delete");
    TRY(scenario_remove(&scenario, err));
    phase_end(delete, NULL);
    return scenario_finish(&scenario, err);
}

struct passes {
    struct nats_connection *admin;
    const char *device;
    int seen;          /**< heartbeats seen, each on its own */
    uint64_t revision; /**< of the last one */
};

/** Heartbeats come slower than reconciles here, so that n heartbeats mean at least n reconciles. */
static int heartbeats_seen(void *context, struct text_buffer *state, struct error *err)
{
    struct passes *passes = context;
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;
    struct wire_key key;
    struct kv_value value = {0};

    if (kv_bucket_open(passes->admin, BUCKET_DEVICE_HEARTBEAT, 0, &bucket, err) < 0 ||
        device_heartbeat_key(passes->device, &key, err) < 0 || kv_get(bucket, key.text, &value, err) < 0)
        return -1;
    if (value.revision != passes->revision) {
        passes->revision = value.revision;
        passes->seen++;
    }
    kv_value_clear(&value);
    text_buffer_format(state, "%d heartbeats", passes->seen);
    return passes->seen > 5; /* the first may be from before */
}

FLEET_TEST(host_deploy_lifecycle, container_id_is_stable_over_five_reconciles, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_container_list struct podman_container_list before = {0};
    cleanup_container_list struct podman_container_list after = {0};
    CLEANUP(cJSON_Delete) cJSON *inspected = NULL;
    CLEANUP(podman_recorder_free) struct podman_recorder *recorder = NULL;
    cleanup_text_list struct text_list events = {0};
    static const struct wait_options options = {.interval_ms = 50};

    TRY(scenario_new(test, false, &scenario, err));
    struct podman_host *podman = host_stack_podman(scenario.stack);
    const char *directory = host_agent_state_directory(scenario.agent); /* a directory that exists */
    cleanup_free char *volume = text_format("cache-%s", scenario.deployment);
    CLEANUP(score_free)
    struct score *score = scenario_hello_web_with_state(IMAGE_HELLO_WEB_V1, scenario.port, directory, volume);
    TRY(scenario_deploy(&scenario, score, NULL, err));
    TRY(scenario_container(&scenario, &before, err));
    TRY(podman_host_inspect(podman, before.items[0].id, &inspected, err));
    TRY(expect_inspected_state(inspected, directory, volume, err));

    TRY(podman_recorder_start(podman, &recorder, err));
    struct passes passes = {host_stack_admin(scenario.stack), host_agent_device(scenario.agent), 0, 0};
    TRY(wait_until("five reconciles", heartbeats_seen, &passes, &options, deadline_in_ms(SCENARIO_MS), err));
    /* The same bytes put again are a new revision and still no change. */
    TRY(scenario_deploy(&scenario, score, NULL, err));
    TRY(scenario_container(&scenario, &after, err));
    CHECK(text_equal(before.items[0].id, after.items[0].id), "container %s became %s", before.items[0].id,
          after.items[0].id);
    TRY(podman_recorder_stop(recorder, host_agent_device(scenario.agent), &events, err));
    CHECK(events.count == 0, "reconciling an unchanged spec caused: %s", events.items[0]);
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_deploy_lifecycle, init_container_runs_before_the_service, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_container_list struct podman_container_list list = {0};
    cleanup_free char *output = NULL;

    TRY(scenario_new(test, false, &scenario, err));
    cleanup_free char *volume = text_format("site-%s", scenario.deployment);
    cleanup_free char *json = text_format("{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":"
                                          "\"%s\",\"volumes\":[\"%s:/site\"]}],"
                                          "\"init_containers\":[{\"name\":\"render\",\"image\":\"%s\",\"args\":[\"sh\","
                                          "\"-c\",\"echo rendered > /site/page\"],"
                                          "\"volumes\":[\"%s:/site\"],\"timeout\":20}]}}",
                                          IMAGE_HELLO_WEB_V1, volume, IMAGE_TOOLBOX, volume);
    CLEANUP(score_free) struct score *score = NULL;
    TRY(score_decode(json, strlen(json), &score, err));
    TRY(scenario_deploy(&scenario, score, NULL, err));
    TRY(scenario_container(&scenario, &list, err)); /* the init container is removed again */
    const char *const read_page[] = {"exec", list.items[0].id, "/bin/busybox", "cat", "/site/page", NULL};
    TRY(podman_host_cli(host_stack_podman(scenario.stack), read_page, &output, err));
    CHECK(text_starts_with(output, "rendered"), "the service sees %s", output);
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_deploy_lifecycle, failing_init_container_is_named, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(device_state_free) struct device_state *state = NULL;
    cleanup_free char *found = NULL;
    uint64_t revision;

    TRY(scenario_new(test, false, &scenario, err));
    cleanup_free char *json = text_format(
        "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"%s\"}],\"init_containers\":["
        "{\"name\":\"migrate\",\"image\":\"%s\",\"args\":[\"sh\",\"-c\",\"exit 42\"]}]}}",
        IMAGE_HELLO_WEB_V1, IMAGE_TOOLBOX);
    struct nats_connection *admin = host_stack_admin(scenario.stack);
    const char *device = host_agent_device(scenario.agent);
    TRY(admin_put_raw(admin, device, scenario.deployment, json, strlen(json), &revision, err));
    TRY(wait_for_phase(admin, device, scenario.deployment, PHASE_FAILED, revision, deadline_in_ms(SCENARIO_MS), &state,
                       err));
    CHECK(strstr(state->error, "migrate") && strstr(state->error, "42"), "reported: %s", state->error);
    /* What is left to look at is the container that failed; no service was made. */
    for (size_t i = 0; i < state->container_count; i++)
        CHECK(text_equal(state->containers[i].name, "migrate"), "%s was made all the same", state->containers[i].name);
    const char *const find[] = {"ps", "--all", "--quiet", "--filter", "label=io.harmony.fleet.init=migrate", NULL};
    TRY(podman_host_cli(host_stack_podman(scenario.stack), find, &found, err));
    CHECK(*found, "podman ps does not find the failed init container by its label");
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}
