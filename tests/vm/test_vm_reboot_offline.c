/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/host/scenario.h"
#include "tests/vm/vm_scenario.h"

#define WORKLOADS 2

/* From the device: does anything listen where its agent looks for NATS? */
static const char nats_is_reachable[] =
    "url=$(sed -n 's|.*nats://\\([^\"]*\\)\".*|\\1|p' " AGENT_CONFIG "); "
    "timeout 10 bash -c \"exec 3<>/dev/tcp/${url%:*}/${url##*:}\" 2>/dev/null && echo yes || echo \"no: $url\"";

/** Start NATS again, however the body ends. */
struct stopped_nats {
    struct vm_stack *stack; /**< NULL: it is done */
};

static void stopped_nats_at_exit(const struct stopped_nats *stopped_nats)
{
    cleanup_error struct error err = ERROR_INIT;

    if (stopped_nats->stack && vm_stack_start_nats(stopped_nats->stack, &err) < 0)
        fprintf(stderr, "NATS cannot be started again: %s\n", error_root_detail(&err));
}
#define cleanup_stopped_nats __attribute__((cleanup(stopped_nats_at_exit)))

static int expect_nats_reachable(struct vm_device *device, bool expected, struct error *err)
{
    cleanup_free char *answer = NULL;

    if (vm_device_line(device, nats_is_reachable, &answer, err) < 0)
        return -1;
    CHECK(text_equal(answer, "yes") == expected, "NATS reachable from the device: %s", answer);
    return 0;
}

/** A second workload: nothing but a process that runs. Caller frees *name. */
static int deploy_sleeper(struct vm_scenario *scenario, char **name, struct error *err)
{
    struct nats_connection *admin = vm_scenario_admin(scenario);
    const char *device = vm_device_id(scenario->device);
    cleanup_free char *image = vm_stack_image(scenario->stack, "hello-web:v2");
    CLEANUP(score_free) struct score *score = scenario_hello_web(image, 0);
    cleanup_free char *deployment = host_stack_unique_name("second");
    uint64_t revision;

    if (admin_put(admin, device, deployment, score, &revision, err) < 0 ||
        wait_for_phase(admin, device, deployment, PHASE_RUNNING, revision, deadline_in_ms(VM_STEP_MS), NULL, err) < 0)
        return -1;
    *name = TAKE_PTR(deployment);
    return 0;
}

struct workloads {
    struct vm_scenario *scenario;
    const char *deployments[WORKLOADS];
    struct podman_container_list *list; /**< the last look; borrowed */
};

static const struct podman_container *find_running(const struct podman_container_list *list, const char *deployment)
{
    for (size_t i = 0; i < list->count; i++) {
        if (text_equal(list->items[i].deployment, deployment) && text_equal(list->items[i].state, "running"))
            return &list->items[i];
    }
    return NULL;
}

static int all_run(void *context, struct text_buffer *state, struct error *err)
{
    struct workloads *workloads = context;
    int running = 0;

    if (vm_device_ps(workloads->scenario->device, workloads->list, err) < 0)
        return -1;
    for (size_t i = 0; i < workloads->list->count; i++)
        text_buffer_format(state, "%s is %s; ", workloads->list->items[i].name, workloads->list->items[i].state);
    for (int i = 0; i < WORKLOADS; i++)
        running += find_running(workloads->list, workloads->deployments[i]) != NULL;
    return running == WORKLOADS && workloads->list->count == WORKLOADS;
}

/** After it has reconnected, the agent reports the containers that came back without NATS. */
static int expect_reported(const struct workloads *workloads, struct error *err)
{
    struct vm_scenario *scenario = workloads->scenario;

    for (int i = 0; i < WORKLOADS; i++) {
        const char *deployment = workloads->deployments[i];
        const struct podman_container *container = find_running(workloads->list, deployment);
        CLEANUP(device_state_free) struct device_state *state = NULL;

        TRY(wait_for_phase(vm_scenario_admin(scenario), vm_device_id(scenario->device), deployment, PHASE_RUNNING, 0,
                           deadline_in_ms(VM_STEP_MS), &state, err));
        CHECK(state->container_count == 1 && text_equal(state->containers[0].id, container->id),
              "KV does not report %s, the container of %s", container->id, deployment);
    }
    return 0;
}

static int reboot_without_nats(struct workloads *workloads, struct error *err)
{
    static const struct wait_options options = {.interval_ms = 200};
    struct vm_scenario *scenario = workloads->scenario;

    TRY(expect_nats_reachable(scenario->device, true, err)); /* the question can be answered with yes */
    TRY(vm_stack_stop_nats(scenario->stack, err));
    TRY(vm_device_reboot(scenario->device, err));
    TRY(wait_until("every workload to be back", all_run, workloads, &options, deadline_in_ms(VM_STEP_MS), err));
    TRY(vm_scenario_expect_body(scenario, "/version", "v1", err));
    return expect_nats_reachable(scenario->device, false, err);
}

FLEET_TEST(vm_reboot_offline, every_workload_is_back, .gate = "vm", VM_NEEDS)
{
    cleanup_vm_scenario struct vm_scenario scenario = {0};
    cleanup_free char *id = NULL;
    cleanup_free char *second = NULL;
    cleanup_container_list struct podman_container_list list = {0};

    TRY(vm_scenario_with_web(test, &scenario, &id, err));
    TRY(deploy_sleeper(&scenario, &second, err));
    struct workloads workloads = {&scenario, {scenario.deployment, second}, &list};
    cleanup_stopped_nats struct stopped_nats stopped = {scenario.stack};
    TRY(reboot_without_nats(&workloads, err));

    TRY(vm_stack_start_nats(scenario.stack, err));
    stopped.stack = NULL;
    TRY(vm_scenario_wait_for_ping(&scenario, NULL, err));
    TRY(expect_reported(&workloads, err));
    TRY(expect_nats_reachable(scenario.device, true, err));
    return vm_scenario_finish(&scenario, err);
}
