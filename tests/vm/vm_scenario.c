/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vm/vm_scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "contracts/names.h"
#include "tests/host/scenario.h"

#define ATTEMPT_MS 2000 /* one ping of many */

int vm_scenario_new(struct test_context *test, struct vm_scenario *ret, struct error *err)
{
    if (vm_stack_shared(test, &ret->stack, err) < 0)
        return error_wrap(err, "bringing up", "the VM stack");
    if (vm_stack_device_count(ret->stack) < 1)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking for", "the VM stack's device",
                         "it has none");
    ret->device = vm_stack_device(ret->stack, 0);
    ret->deployment = host_stack_unique_name("web");
    return 0;
}

int vm_scenario_with_web(struct test_context *test, struct vm_scenario *ret, char **id, struct error *err)
{
    cleanup_container_list struct podman_container_list list = {0};

    TRY(vm_scenario_new(test, ret, err));
    CLEANUP(score_free) struct score *score = vm_scenario_web(ret, "v1");
    TRY(vm_scenario_deploy(ret, score, NULL, err));
    TRY(vm_scenario_container(ret, &list, err));
    TRY(vm_scenario_expect_body(ret, "/version", "v1", err));
    *id = TAKE_PTR(list.items[0].id);
    return 0;
}

/* Leaving the device as it was */

struct sweep {
    const char *device;
    struct text_list deployments; /**< that were still desired */
};

static int sweep_key(void *context, struct kv_bucket *bucket, const char *key, struct error *err)
{
    struct sweep *sweep = context;
    struct wire_target target;
    cleanup_error struct error foreign = ERROR_INIT;

    if (desired_state_key_parse(key, &target, &foreign) < 0 || !text_equal(target.device, sweep->device))
        return 0;
    text_list_add(&sweep->deployments, target.deployment);
    return kv_delete(bucket, key, err);
}

/** The agent deletes a deployment's state when the last of its containers is gone. */
static int sweep_device(struct vm_scenario *scenario, struct error *err)
{
    struct nats_connection *admin = vm_scenario_admin(scenario);
    struct sweep sweep = {.device = vm_device_id(scenario->device)};
    struct deadline deadline = deadline_in_ms(VM_STEP_MS);
    int result = admin_each_key(admin, BUCKET_DESIRED_STATE, sweep_key, &sweep, err);

    for (size_t i = 0; i < sweep.deployments.count && result == 0; i++)
        result = wait_for_removed(admin, sweep.device, sweep.deployments.items[i], deadline, err);
    text_list_clear(&sweep.deployments);
    return result < 0 ? error_wrap(err, "clearing device", sweep.device) : 0;
}

static void let_go(struct vm_scenario *scenario)
{
    vm_stack_free(TAKE_PTR(scenario->stack));
    scenario->device = NULL;
    free(TAKE_PTR(scenario->deployment));
}

int vm_scenario_finish(struct vm_scenario *scenario, struct error *err)
{
    int result = sweep_device(scenario, err);

    let_go(scenario);
    return result;
}

void vm_scenario_clear(struct vm_scenario *scenario)
{
    cleanup_error struct error err = ERROR_INIT;

    if (scenario->device && sweep_device(scenario, &err) < 0) {
        cleanup_free char *text = error_text(&err);
        fprintf(stderr, "the device is left as it is: %s\n", text);
    }
    let_go(scenario);
}

/* Workloads */

struct nats_connection *vm_scenario_admin(const struct vm_scenario *scenario)
{
    return host_stack_admin(vm_stack_infra(scenario->stack));
}

struct score *vm_scenario_web(const struct vm_scenario *scenario, const char *version)
{
    cleanup_free char *name = text_format("hello-web:%s", version);
    cleanup_free char *image = vm_stack_image(scenario->stack, name);

    return scenario_hello_web(image, VM_WEB_PORT);
}

int vm_scenario_deploy(struct vm_scenario *scenario, const struct score *score, struct device_state **state,
                       struct error *err)
{
    struct nats_connection *admin = vm_scenario_admin(scenario);
    const char *device = vm_device_id(scenario->device);
    uint64_t revision;

    if (admin_put(admin, device, scenario->deployment, score, &revision, err) < 0)
        return -1;
    return wait_for_phase(admin, device, scenario->deployment, PHASE_RUNNING, revision, deadline_in_ms(VM_STEP_MS),
                          state, err);
}

int vm_scenario_container(struct vm_scenario *scenario, struct podman_container_list *list, struct error *err)
{
    if (vm_device_ps(scenario->device, list, err) < 0)
        return -1;
    CHECK(list->count == 1, "podman ps shows %zu containers on the device", list->count);
    CHECK(text_equal(list->items[0].deployment, scenario->deployment), "%s belongs to deployment %s",
          list->items[0].name, list->items[0].deployment);
    CHECK(text_equal(list->items[0].state, "running"), "podman ps says %s", list->items[0].state);
    return 0;
}

int vm_scenario_expect_container(struct vm_scenario *scenario, const char *id, struct error *err)
{
    cleanup_container_list struct podman_container_list list = {0};

    if (vm_scenario_container(scenario, &list, err) < 0)
        return -1;
    CHECK(text_equal(list.items[0].id, id), "container %s became %s", id, list.items[0].id);
    return 0;
}

int vm_scenario_expect_body(struct vm_scenario *scenario, const char *path, const char *expected, struct error *err)
{
    cleanup_free char *body = NULL;

    if (vm_device_get(scenario->device, VM_WEB_PORT, path, deadline_in_ms(VM_STEP_MS), &body, err) < 0)
        return -1;
    CHECK(strstr(body, expected), "%s is \"%s\", not \"%s\"", path, body, expected);
    return 0;
}

int vm_scenario_remove(struct vm_scenario *scenario, struct error *err)
{
    struct nats_connection *admin = vm_scenario_admin(scenario);
    const char *device = vm_device_id(scenario->device);
    cleanup_container_list struct podman_container_list list = {0};

    if (admin_delete(admin, device, scenario->deployment, err) < 0 ||
        wait_for_removed(admin, device, scenario->deployment, deadline_in_ms(VM_STEP_MS), err) < 0 ||
        vm_device_ps(scenario->device, &list, err) < 0)
        return -1;
    CHECK(list.count == 0, "%s is still there", list.items[0].name);
    return 0;
}

/* The agent */

struct awaited_ping {
    struct vm_scenario *scenario;
    struct ping_reply *reply;
};

static int answers_ping(void *context, struct text_buffer *state, struct error *err)
{
    struct awaited_ping *ping = context;
    cleanup_error struct error failure = ERROR_INIT;

    (void)err;
    if (fleet_ping(host_stack_commands(vm_stack_infra(ping->scenario->stack)), vm_device_id(ping->scenario->device),
                   deadline_in_ms(ATTEMPT_MS), &ping->reply, &failure) == 0)
        return 1;
    cleanup_free char *text = error_text(&failure);
    text_buffer_add(state, text);
    return 0;
}

int vm_scenario_wait_for_ping(struct vm_scenario *scenario, struct ping_reply **reply, struct error *err)
{
    static const struct wait_options options = {.interval_ms = 20};
    struct awaited_ping ping = {.scenario = scenario};

    if (wait_until("the agent to answer a ping", answers_ping, &ping, &options, deadline_in_ms(VM_STEP_MS), err) < 0)
        return -1;
    if (reply)
        *reply = TAKE_PTR(ping.reply);
    ping_reply_free(ping.reply);
    return 0;
}

int vm_agent_property(struct vm_device *device, const char *property, char **ret, struct error *err)
{
    cleanup_free char *command = text_format("systemctl show --value --property=%s " DEVICE_AGENT_SERVICE, property);

    return vm_device_line(device, command, ret, err);
}

int vm_device_line(struct vm_device *device, const char *command, char **ret, struct error *err)
{
    cleanup_free char *output = NULL;

    if (vm_device_shell(device, command, &output, err) < 0)
        return -1;
    size_t size = strlen(output);
    if (size > 0 && output[size - 1] == '\n')
        output[size - 1] = '\0';
    *ret = TAKE_PTR(output);
    return 0;
}
