/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/host/scenario.h"

#define NEEDS_ALL NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES)

/* Port 1 of the podman host's own loopback: nothing listens there. */
#define UNREACHABLE_IMAGE "127.0.0.1:1/hello-web:v9"

FLEET_TEST(host_pull, failure_is_reported_in_podmans_words, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(device_state_free) struct device_state *state = NULL;
    cleanup_container_list struct podman_container_list list = {0};
    uint64_t revision;

    TRY(scenario_new(test, false, &scenario, err));
    struct nats_connection *admin = host_stack_admin(scenario.stack);
    const char *device = host_agent_device(scenario.agent);
    CLEANUP(score_free) struct score *score = scenario_hello_web(UNREACHABLE_IMAGE, 0);
    TRY(admin_put(admin, device, scenario.deployment, score, &revision, err));
    TRY(wait_for_phase(admin, device, scenario.deployment, PHASE_FAILED, revision, deadline_in_ms(SCENARIO_MS), &state,
                       err));
    CHECK(strstr(state->error, UNREACHABLE_IMAGE), "the image is not named: %s", state->error);
    CHECK(strstr(state->error, "connection refused"), "podman's own words are missing: %s", state->error);
    TRY(podman_host_ps(host_stack_podman(scenario.stack), device, &list, err));
    CHECK(list.count == 0, "%zu containers of an image that is not there", list.count);
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

/* The old version serves on while the new one cannot be had, and the next good revision is not held back by back-off. */
FLEET_TEST(host_pull, old_version_serves_while_the_new_one_cannot_be_pulled, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    cleanup_container_list struct podman_container_list before = {0};
    cleanup_container_list struct podman_container_list during = {0};
    uint64_t revision;

    TRY(scenario_new(test, false, &scenario, err));
    struct nats_connection *admin = host_stack_admin(scenario.stack);
    const char *device = host_agent_device(scenario.agent);
    CLEANUP(score_free) struct score *good = scenario_hello_web(IMAGE_HELLO_WEB_V1, scenario.port);
    TRY(scenario_deploy(&scenario, good, NULL, err));
    TRY(scenario_container(&scenario, &before, err));
    CLEANUP(score_free) struct score *bad = scenario_hello_web(UNREACHABLE_IMAGE, scenario.port);
    TRY(admin_put(admin, device, scenario.deployment, bad, &revision, err));
    TRY(wait_for_phase(admin, device, scenario.deployment, PHASE_FAILED, revision, deadline_in_ms(SCENARIO_MS), NULL,
                       err));
    TRY(scenario_container(&scenario, &during, err));
    CHECK(text_equal(before.items[0].id, during.items[0].id), "the running version was touched");
    TRY(scenario_expect_body(&scenario, "/version", "v1", err));
    CLEANUP(score_free) struct score *next = scenario_hello_web(IMAGE_HELLO_WEB_V2, scenario.port);
    TRY(scenario_deploy(&scenario, next, NULL, err));
    TRY(scenario_expect_body(&scenario, "/version", "v2", err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}
