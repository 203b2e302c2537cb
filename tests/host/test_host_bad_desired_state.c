/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "tests/host/scenario.h"

struct refusal {
    const char *what;
    const char *value;
    const char *reason; /**< must be part of the reported error */
};

static const struct refusal refusals[] = {
    {"not JSON", "{\"type\":\"PodmanV0\",", "JSON"},
    {"not text", "\xff\xfe\x00", "JSON"},
    {"empty", "", ""},
    {"no object", "[1,2,3]", "$"},
    {"no type", "{\"data\":{}}", "type"},
    {"unknown type", "{\"type\":\"HelmV9\",\"data\":{}}", "HelmV9"},
    {"type is a number", "{\"type\":7,\"data\":{}}", "$.type"},
    {"services is an object", "{\"type\":\"PodmanV0\",\"data\":{\"services\":{}}}", "$.data.services"},
    {"service without image", "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"a\"}]}}",
     "$.data.services[0].image"},
    {"image is a list", "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"a\",\"image\":[]}]}}",
     "$.data.services[0].image"},
    {"name is a path", "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"../a\",\"image\":\"b\"}]}}",
     "$.data.services[0].name"},
    {"port out of range",
     "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"a\",\"image\":\"b\",\"ports\":[\"80:99999\"]}]}}",
     "$.data.services[0].ports[0]"},
    {"relative mount",
     "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"a\",\"image\":\"b\",\"volumes\":[\"/a:b\"]}]}}",
     "$.data.services[0].volumes[0]"},
    {"time-out is text",
     "{\"type\":\"PodmanV0\",\"data\":{\"init_containers\":[{\"name\":\"a\",\"image\":\"b\",\"timeout\":\"1\"}]}}",
     "$.data.init_containers[0].timeout"},
};

/** Put the bytes under `deployment` and expect Failed about that revision with `reason` in the error. */
static int expect_refused(struct scenario *scenario, const char *deployment, const void *value, size_t size,
                          const char *what, const char *reason, struct error *err)
{
    struct nats_connection *admin = host_stack_admin(scenario->stack);
    const char *device = host_agent_device(scenario->agent);
    CLEANUP(device_state_free) struct device_state *state = NULL;
    uint64_t revision;

    TRY(admin_put_raw(admin, device, deployment, value, size, &revision, err));
    TRY(wait_for_phase(admin, device, deployment, PHASE_FAILED, revision, deadline_in_ms(SCENARIO_MS), &state, err));
    CHECK(state->revision == revision, "%s: reported about revision %" PRIu64 ", not %" PRIu64, what, state->revision,
          revision);
    CHECK(state->error && *state->error && strstr(state->error, reason), "%s: reported reason: %s", what,
          state->error ? state->error : "none");
    return 0;
}

static int expect_neighbour_untouched(struct scenario *scenario, const char *id, struct error *err)
{
    cleanup_container_list struct podman_container_list list = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    TRY(fleet_ping(host_stack_commands(scenario->stack), host_agent_device(scenario->agent), deadline_in_ms(2000),
                   &reply, err));
    TRY(scenario_container(scenario, &list, err));
    CHECK(text_equal(list.items[0].id, id), "the neighbour %s became %s", id, list.items[0].id);
    return 0;
}

FLEET_TEST(host_bad_desired_state, malformed_and_wrong_typed_are_reported, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;

    TRY(scenario_with_web(test, false, &scenario, &id, err));

    cleanup_free char *bad = host_stack_unique_name("bad");
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
        TRY(expect_refused(&scenario, bad, refusals[i].value, strlen(refusals[i].value), refusals[i].what,
                           refusals[i].reason, err));
    TRY(expect_neighbour_untouched(&scenario, id, err));

    struct nats_connection *admin = host_stack_admin(scenario.stack);
    const char *device = host_agent_device(scenario.agent);
    TRY(admin_delete(admin, device, bad, err));
    TRY(wait_for_removed(admin, device, bad, deadline_in_ms(SCENARIO_MS), err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

/* A running workload whose next revision is unusable goes on running as it was, and recovers with the next good one. */
FLEET_TEST(host_bad_desired_state, bad_upgrade_leaves_the_workload_running, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_container_list struct podman_container_list list = {0};

    TRY(scenario_with_web(test, false, &scenario, &id, err));
    TRY(expect_refused(&scenario, scenario.deployment, "{", 1, "half an object", "JSON", err));
    TRY(expect_neighbour_untouched(&scenario, id, err));
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, scenario.port);
    TRY(scenario_deploy(&scenario, score, NULL, err));
    TRY(scenario_container(&scenario, &list, err));
    CHECK(text_equal(list.items[0].id, id), "the container was replaced by the same spec");
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_bad_desired_state, oversized_is_reported, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_text_buffer struct text_buffer value = {0};

    TRY(scenario_with_web(test, false, &scenario, &id, err));

    text_buffer_add(&value, "{\"type\":\"PodmanV0\",\"data\":{\"services\":[],\"padding\":\"");
    while (value.size < SCORE_VALUE_MAX)
        text_buffer_add(&value, "0123456789abcdef");
    text_buffer_add(&value, "\"}}");
    cleanup_free char *big = host_stack_unique_name("big");
    TRY(expect_refused(&scenario, big, value.data, value.size, "over 1 MiB", "1048576", err));
    TRY(expect_neighbour_untouched(&scenario, id, err));
    struct nats_connection *admin = host_stack_admin(scenario.stack);
    TRY(admin_delete(admin, host_agent_device(scenario.agent), big, err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_bad_desired_state, refused_where_the_runtime_is_disabled, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(device_state_free) struct device_state *state = NULL;
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, 0);

    TRY(scenario_without_podman(test, &scenario, err));
    TRY(scenario_deploy_in_vain(&scenario, score, &state, err));
    CHECK(strstr(state->error, "runtime_enabled"), "reported: %s", state->error);
    struct nats_connection *admin = host_stack_admin(scenario.stack);
    const char *device = host_agent_device(scenario.agent);
    TRY(admin_delete(admin, device, scenario.deployment, err));
    TRY(wait_for_removed(admin, device, scenario.deployment, deadline_in_ms(SCENARIO_MS), err));
    return scenario_finish(&scenario, err);
}
