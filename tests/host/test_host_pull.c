/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <string.h>

#include "fixtures/registry.h"
#include "tests/host/scenario.h"

/* Port 1 of the podman host's own loopback: nothing listens there. */
#define UNREACHABLE_IMAGE "127.0.0.1:1/hello-web:v9"

FLEET_TEST(host_pull, failure_is_reported_in_podmans_words, .gate = "host", NEEDS_ALL)
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(device_state_free) struct device_state *state = NULL;
    cleanup_container_list struct podman_container_list list = {0};

    TRY(scenario_new(test, false, &scenario, err));
    CLEANUP(score_free) struct score *score = scenario_hello_web(UNREACHABLE_IMAGE, 0);
    TRY(scenario_deploy_in_vain(&scenario, score, &state, err));
    CHECK(strstr(state->error, UNREACHABLE_IMAGE), "the image is not named: %s", state->error);
    CHECK(strstr(state->error, "connection refused"), "podman's own words are missing: %s", state->error);
    TRY(podman_host_ps(host_stack_podman(scenario.stack), host_agent_device(scenario.agent), &list, err));
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

    TRY(scenario_new(test, false, &scenario, err));
    CLEANUP(score_free) struct score *good = scenario_hello_web(IMAGE_HELLO_WEB_V1, scenario.port);
    TRY(scenario_deploy(&scenario, good, NULL, err));
    TRY(scenario_container(&scenario, &before, err));
    CLEANUP(score_free) struct score *bad = scenario_hello_web(UNREACHABLE_IMAGE, scenario.port);
    TRY(scenario_deploy_in_vain(&scenario, bad, NULL, err));
    TRY(scenario_container(&scenario, &during, err));
    CHECK(text_equal(before.items[0].id, during.items[0].id), "the running version was touched");
    TRY(scenario_expect_body(&scenario, "/version", "v1", err));
    CLEANUP(score_free) struct score *next = scenario_hello_web(IMAGE_HELLO_WEB_V2, scenario.port);
    TRY(scenario_deploy(&scenario, next, NULL, err));
    TRY(scenario_expect_body(&scenario, "/version", "v2", err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}

/** Put hello-web v2 into the registry as `image` and forget it: it has to be pulled. */
static int push_image(struct podman_host *podman, const char *image, struct error *err)
{
    const char *const tag[] = {"tag", IMAGE_HELLO_WEB_V2, image, NULL};
    const char *const push[] = {"push", "--quiet", "--tls-verify=false", image, NULL};
    const char *const forget[] = {"untag", image, image, NULL};

    TRY(podman_host_cli(podman, tag, NULL, err));
    TRY(podman_host_cli(podman, push, NULL, err));
    return podman_host_cli(podman, forget, NULL, err);
}

struct pulling {
    struct scenario *scenario;
    const char *image;
};

static int reports_pulling(void *context, struct text_buffer *text, struct error *err)
{
    const struct pulling *pulling = context;
    CLEANUP(device_state_free) struct device_state *state = NULL;

    if (admin_get_state(host_stack_admin(pulling->scenario->stack), host_agent_device(pulling->scenario->agent),
                        pulling->scenario->deployment, &state, err) < 0)
        return -1;
    if (!state) {
        text_buffer_add(text, "no state");
        return 0;
    }
    text_buffer_format(text, "%s: %s", deployment_phase_name(state->phase), state->message ? state->message : "-");
    return state->phase == PHASE_PENDING && state->message && text_starts_with(state->message, "pulling ") &&
           strstr(state->message, pulling->image);
}

FLEET_TEST(host_pull, pulled_from_a_registry_with_progress, .gate = "host",
           NEEDS(CAPABILITY_NATS_SERVER, CAPABILITY_PODMAN, CAPABILITY_TEST_IMAGES, CAPABILITY_REGISTRY))
{
    static const char image[] = REGISTRY_ADDRESS "/hello-web:v2";
    cleanup_scenario struct scenario scenario = {0};
    cleanup_container_list struct podman_container_list list = {0};
    CLEANUP(process_free) struct process *registry = NULL;
    struct run *run = NULL;
    uint64_t revision;

    TRY(scenario_new(test, true, &scenario, err));
    TRY(test_run(test, &run, err));
    struct podman_host *podman = host_stack_podman(scenario.stack);
    TRY(registry_start(run, podman, &registry, err));
    TRY(push_image(podman, image, err));
    TRY(process_signal(registry, SIGSTOP, err)); /* a slow line */
    CLEANUP(score_free) struct score *score = scenario_hello_web(image, scenario.port);
    struct nats_connection *admin = host_stack_admin(scenario.stack);
    const char *device = host_agent_device(scenario.agent);
    TRY(admin_put(admin, device, scenario.deployment, score, &revision, err));
    struct pulling pulling = {&scenario, image};
    TRY(wait_until("a report of the pull", reports_pulling, &pulling, NULL, deadline_in_ms(SCENARIO_MS), err));
    TRY(process_signal(registry, SIGCONT, err));
    TRY(wait_for_phase(admin, device, scenario.deployment, PHASE_RUNNING, revision, deadline_in_ms(SCENARIO_MS), NULL,
                       err));
    TRY(scenario_container(&scenario, &list, err));
    CHECK(text_equal(list.items[0].image, image), "podman runs %s", list.items[0].image);
    TRY(scenario_expect_body(&scenario, "/version", "v2", err));
    TRY(scenario_remove(&scenario, err));
    return scenario_finish(&scenario, err);
}
