/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/host/scenario.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct score *scenario_hello_web(const char *image, int host_port)
{
    struct score *score = NEW(struct score);
    struct container_spec *web = NEW(struct container_spec);

    score->type = SCORE_PODMAN_V0;
    score->podman.services = web;
    score->podman.service_count = 1;
    web->name = text_copy("web");
    web->image = text_copy(image);
    web->restart_policy = RESTART_UNLESS_STOPPED;
    if (host_port) {
        web->ports = NEW(struct port_mapping);
        web->port_count = 1;
        web->ports[0].host_port = (uint16_t)host_port;
        web->ports[0].container_port = 80;
    }
    return score;
}

struct score *scenario_hello_web_with_state(const char *image, int host_port, const char *directory, const char *volume)
{
    struct score *score = scenario_hello_web(image, host_port);
    struct container_spec *web = score->podman.services;

    web->environment = NEW_ARRAY(struct environment_variable, 2);
    web->environment_count = 2;
    web->environment[0] = (struct environment_variable){text_copy("GREETING"), text_copy("hello = \"fleet\"")};
    web->environment[1] = (struct environment_variable){text_copy("REGION"), text_copy("eu")};
    web->volumes = NEW_ARRAY(struct volume_mount, 2);
    web->volume_count = 2;
    web->volumes[0] = (struct volume_mount){text_copy(directory), text_copy("/data"), true};
    web->volumes[1] = (struct volume_mount){text_copy(volume), text_copy("/cache"), false};
    return score;
}

int scenario_new(struct test_context *test, bool own_stack, struct scenario *ret, struct error *err)
{
    static const struct host_stack_options with_podman = {.with_podman = true};

    if (own_stack ? host_stack_own(test, &with_podman, &ret->stack, err) < 0
                  : host_stack_shared(test, &ret->stack, err) < 0)
        return error_wrap(err, "bringing up", "the host stack");
    ret->deployment = host_stack_unique_name("web");
    if (podman_host_free_port(host_stack_podman(ret->stack), &ret->port, err) < 0)
        return -1;
    struct host_agent_options options = {
        .podman = host_stack_podman(ret->stack),
        .reconcile_interval_ms = 300,
        .heartbeat_interval_ms = 500,
    };
    return host_agent_new(ret->stack, &options, &ret->agent, err);
}

int scenario_without_podman(struct test_context *test, struct scenario *ret, struct error *err)
{
    static const struct host_agent_options options = {.podman = NULL};

    if (host_stack_shared(test, &ret->stack, err) < 0)
        return -1;
    ret->deployment = host_stack_unique_name("web");
    return host_agent_new(ret->stack, &options, &ret->agent, err);
}

int scenario_with_web(struct test_context *test, bool own_stack, struct scenario *ret, char **id, struct error *err)
{
    TRY(scenario_new(test, own_stack, ret, err));
    CLEANUP(score_free) struct score *score = scenario_hello_web(IMAGE_HELLO_WEB_V1, ret->port);
    TRY(scenario_deploy(ret, score, NULL, err));
    return scenario_wait_container(ret, NULL, id, err);
}

int scenario_finish(struct scenario *scenario, struct error *err)
{
    int result = host_agent_finish(&scenario->agent, err);

    scenario_clear(scenario);
    return result;
}

void scenario_clear(struct scenario *scenario)
{
    host_agent_free(TAKE_PTR(scenario->agent));
    host_stack_free(TAKE_PTR(scenario->stack));
    free(TAKE_PTR(scenario->deployment));
}

/** Put the score and wait until it is reported in `phase` about this revision. */
static int put_and_wait(struct scenario *scenario, const struct score *score, enum deployment_phase phase,
                        struct device_state **state, struct error *err)
{
    struct nats_connection *admin = host_stack_admin(scenario->stack);
    const char *device = host_agent_device(scenario->agent);
    uint64_t revision;

    if (admin_put(admin, device, scenario->deployment, score, &revision, err) < 0)
        return -1;
    return wait_for_phase(admin, device, scenario->deployment, phase, revision, deadline_in_ms(SCENARIO_MS), state,
                          err);
}

int scenario_deploy(struct scenario *scenario, const struct score *score, struct device_state **state,
                    struct error *err)
{
    return put_and_wait(scenario, score, PHASE_RUNNING, state, err);
}

int scenario_deploy_in_vain(struct scenario *scenario, const struct score *score, struct device_state **state,
                            struct error *err)
{
    return put_and_wait(scenario, score, PHASE_FAILED, state, err);
}

/** Only the containers of this scenario's deployment. */
static int list_own(struct scenario *scenario, struct podman_container_list *list, struct error *err)
{
    if (podman_host_ps(host_stack_podman(scenario->stack), host_agent_device(scenario->agent), list, err) < 0)
        return -1;
    for (size_t i = 0; i < list->count; i++) {
        if (!text_equal(list->items[i].deployment, scenario->deployment))
            return error_set(err, &check_error_domain, 1, "listing containers of", scenario->deployment,
                             "%s belongs to deployment %s", list->items[i].name, list->items[i].deployment);
    }
    return 0;
}

int scenario_container(struct scenario *scenario, struct podman_container_list *list, struct error *err)
{
    if (list_own(scenario, list, err) < 0)
        return -1;
    CHECK(list->count == 1, "podman ps shows %zu containers of %s", list->count, scenario->deployment);
    CHECK(text_equal(list->items[0].state, "running"), "podman ps says %s", list->items[0].state);
    return 0;
}

static int removed_from_podman(void *context, struct text_buffer *state, struct error *err)
{
    cleanup_container_list struct podman_container_list list = {0};

    if (list_own(context, &list, err) < 0)
        return -1;
    text_buffer_format(state, "podman ps -a shows %zu containers", list.count);
    return list.count == 0;
}

int scenario_wait_removed(struct scenario *scenario, struct error *err)
{
    struct deadline deadline = deadline_in_ms(SCENARIO_MS);

    TRY(wait_for_removed(host_stack_admin(scenario->stack), host_agent_device(scenario->agent), scenario->deployment,
                         deadline, err));
    return wait_until("the containers to be removed", removed_from_podman, scenario, NULL, deadline, err);
}

int scenario_remove(struct scenario *scenario, struct error *err)
{
    TRY(admin_delete(host_stack_admin(scenario->stack), host_agent_device(scenario->agent), scenario->deployment, err));
    return scenario_wait_removed(scenario, err);
}

struct replacement {
    struct scenario *scenario;
    const char *old_id;
    char *id;
};

static int container_runs(void *context, struct text_buffer *state, struct error *err)
{
    struct replacement *replacement = context;
    cleanup_container_list struct podman_container_list list = {0};

    if (list_own(replacement->scenario, &list, err) < 0)
        return -1;
    if (list.count != 1) {
        text_buffer_format(state, "podman ps -a shows %zu containers", list.count);
        return 0;
    }
    text_buffer_format(state, "%s is %s", list.items[0].id, list.items[0].state);
    if (!text_equal(list.items[0].state, "running") || text_equal(list.items[0].id, replacement->old_id))
        return 0;
    replacement->id = TAKE_PTR(list.items[0].id);
    return 1;
}

int scenario_wait_container(struct scenario *scenario, const char *old_id, char **id, struct error *err)
{
    struct replacement replacement = {scenario, old_id, NULL};
    static const struct wait_options options = {.interval_ms = 20};

    if (wait_until("a running container", container_runs, &replacement, &options, deadline_in_ms(SCENARIO_MS), err) < 0)
        return -1;
    *id = replacement.id;
    return 0;
}

struct expected_body {
    struct scenario *scenario;
    const char *path;
    const char *expected;
};

static int body_contains(void *context, struct text_buffer *state, struct error *err)
{
    const struct expected_body *expected = context;
    cleanup_free char *body = NULL;

    if (podman_host_get(host_stack_podman(expected->scenario->stack), expected->scenario->port, expected->path,
                        deadline_in_ms(SCENARIO_MS), &body, err) < 0)
        return -1;
    text_buffer_format(state, "%s is \"%s\"", expected->path, body);
    return strstr(body, expected->expected) != NULL;
}

int scenario_expect_body(struct scenario *scenario, const char *path, const char *expected, struct error *err)
{
    struct expected_body context = {scenario, path, expected};

    return wait_until("the web server's answer", body_contains, &context, NULL, deadline_in_ms(5000), err);
}
