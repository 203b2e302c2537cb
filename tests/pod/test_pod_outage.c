/* SPDX-License-Identifier: Apache-2.0 */
#include <nats/nats.h>
#include <string.h>

#include "base/memory.h"
#include "contracts/names.h"
#include "messaging/kv.h"
#include "tests/pod/pod_runner.h"

DEFINE_CLEANUP(jsCtx *, jsCtx_Destroy)

struct awaited_ping {
    struct stack *stack;
    const char *device;
};

static int is_answered(void *context, struct text_buffer *state, struct error *err)
{
    const struct awaited_ping *awaited = context;
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    cleanup_error struct error failure = ERROR_INIT;

    (void)err;
    if (fleet_ping(stack_commands(awaited->stack), awaited->device, deadline_in_ms(1000), &reply, &failure) == 0)
        return 1;
    text_buffer_add(state, error_root_detail(&failure));
    return 0;
}

FLEET_TEST(pod_outage, nats_pod_restart, .gate = "pod", POD_NEEDS)
{
    static const struct wait_options often = {.interval_ms = 20};
    static const struct stack_options infra_only = {.heartbeat_interval_ms = 500, .offline_after_ms = 5000};
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *before = host_stack_unique_name("before");
    cleanup_free char *meanwhile = host_stack_unique_name("meanwhile");
    const char *device;

    TRY(stack_own(test, &infra_only, &stack, err));
    TRY(pod_add_device(stack, "survives", "survives", &device, err));
    TRY(pod_apply(stack, before, "survives", POD_SCORE, err));
    TRY(pod_wait_aggregate(stack, before, (struct aggregate){.matched = 1, .failed = 1}, err));

    /* Its store goes with the Pod: agent and operator have to say everything again. */
    TRY(stack_kill_nats(stack, err));
    TRY(pod_apply(stack, meanwhile, "survives", POD_SCORE, err));

    struct awaited_ping ping = {stack, device};
    TRY(wait_until("the agent to answer", is_answered, &ping, &often, deadline_in_ms(POD_STEP_MS), err));
    TRY(pod_wait_aggregate(stack, meanwhile, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(pod_wait_key(stack, device, before, NULL, NULL, err));
    TRY(pod_wait_key(stack, device, meanwhile, NULL, NULL, err));
    TRY(pod_wait_aggregate(stack, before, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(pod_wait_device(stack, device, "Online", NULL, err));
    return 0;
}

/** For wait_until(): of its device's containers there are only those of one deployment, and they run. */
struct awaited_containers {
    const struct runner *runner;
    const char *deployment;
};

static int is_alone(void *context, struct text_buffer *state, struct error *err)
{
    const struct awaited_containers *awaited = context;
    cleanup_container_list struct podman_container_list list = {0};
    bool alone = true;

    if (podman_host_ps(awaited->runner->podman, awaited->runner->device, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        const struct podman_container *container = &list.items[i];

        text_buffer_format(state, "%s of %s is %s; ", container->name, container->deployment, container->state);
        alone &= text_equal(container->deployment, awaited->deployment) && text_equal(container->state, "running");
    }
    return alone && list.count > 0;
}

/** Three Deployments for the device, and one that an administrator put by hand, all running. */
static int run_four(struct stack *stack, const struct runner *runner, const char *label, char *const names[4],
                    struct error *err)
{
    for (size_t i = 0; i < 3; i++)
        TRY(pod_apply(stack, names[i], label, POD_SCORE, err));
    TRY(admin_put_raw(stack_admin(stack), runner->device, names[3], POD_SCORE, strlen(POD_SCORE), NULL, err));
    for (size_t i = 0; i < 4; i++)
        TRY(wait_for_phase(stack_admin(stack), runner->device, names[i], PHASE_RUNNING, 0, deadline_in_ms(POD_STEP_MS),
                           NULL, err));
    return 0;
}

FLEET_TEST(pod_outage, what_nobody_asks_for_any_more_ends, .gate = "pod", POD_RUNNER_NEEDS)
{
    static const struct stack_options infra_only = {.heartbeat_interval_ms = 500, .offline_after_ms = 5000};
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_runner struct runner runner = {0};
    cleanup_free char *kept = host_stack_unique_name("kept");
    cleanup_free char *deleted = host_stack_unique_name("deleted");
    cleanup_free char *retargeted = host_stack_unique_name("retargeted");
    cleanup_free char *by_hand = host_stack_unique_name("by-hand");
    char *const names[] = {kept, deleted, retargeted, by_hand};

    TRY(stack_own(test, &infra_only, &stack, err));
    TRY(runner_new(test, stack, "runs", &runner, err));
    TRY(run_four(stack, &runner, "runs", names, err));
    TRY(pod_wait_device(stack, runner.device, "Online", NULL, err));

    /* The agent's own rule keeps all of them when NATS comes back empty; two of them nobody wants, of one nobody says. */
    TRY(stack_kill_nats(stack, err));
    TRY(kube_delete(stack_kube(stack), &fleet_deployments, stack_namespace(stack), deleted, KUBE_BACKGROUND, -1,
                    deadline_in_ms(POD_STEP_MS), err));
    TRY(pod_apply(stack, retargeted, "elsewhere", POD_SCORE, err));

    struct awaited_containers awaited = {&runner, kept};
    TRY(wait_until("the others' containers to end", is_alone, &awaited, NULL, deadline_in_ms(2 * POD_STEP_MS), err));
    for (size_t i = 1; i < ARRAY_SIZE(names); i++)
        TRY(wait_for_removed(stack_admin(stack), runner.device, names[i], deadline_in_ms(POD_STEP_MS), err));
    TRY(pod_wait_aggregate(stack, kept, (struct aggregate){.matched = 1, .succeeded = 1}, err));
    return host_agent_finish(&runner.agent, err);
}

static int delete_buckets(struct stack *stack, struct error *err)
{
    CLEANUP(jsCtx_Destroy) jsCtx *jetstream = NULL;
    natsStatus status = natsConnection_JetStream(&jetstream, nats_connection_handle(stack_admin(stack)), NULL);

    for (const char *const *name = wire_buckets; *name && status == NATS_OK; name++) {
        cleanup_free char *stream = text_format("KV_%s", *name);

        status = js_DeleteStream(jetstream, stream, NULL, NULL);
    }
    CHECK(status == NATS_OK, "deleting the buckets: %s", natsStatus_GetText(status));
    return 0;
}

static int are_there(void *context, struct text_buffer *state, struct error *err)
{
    CLEANUP(jsCtx_Destroy) jsCtx *jetstream = NULL;
    natsStatus status = natsConnection_JetStream(&jetstream, nats_connection_handle(stack_admin(context)), NULL);

    (void)err;
    for (const char *const *name = wire_buckets; *name && status == NATS_OK; name++) {
        cleanup_free char *stream = text_format("KV_%s", *name);
        jsStreamInfo *found = NULL;

        status = js_GetStreamInfo(&found, jetstream, stream, NULL, NULL);
        jsStreamInfo_Destroy(found);
        if (status != NATS_OK)
            text_buffer_format(state, "%s: %s", *name, natsStatus_GetText(status));
    }
    return status == NATS_OK;
}

FLEET_TEST(pod_outage, deleted_buckets_are_made_anew, .gate = "pod", POD_NEEDS)
{
    static const struct stack_options infra_only = {.heartbeat_interval_ms = 500, .offline_after_ms = 60000};
    CLEANUP(stack_free) struct stack *stack = NULL;
    cleanup_free char *name = host_stack_unique_name("web");
    const char *device;

    TRY(stack_own(test, &infra_only, &stack, err));
    TRY(pod_add_device(stack, "survives", "survives", &device, err));
    TRY(pod_apply(stack, name, "survives", POD_SCORE, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));

    TRY(delete_buckets(stack, err)); /* the servers' end of every watch goes with them, without a word */
    TRY(wait_until("the buckets to be there", are_there, stack, NULL, deadline_in_ms(2 * POD_STEP_MS), err));
    TRY(pod_wait_key(stack, device, name, NULL, NULL, err));
    TRY(pod_wait_aggregate(stack, name, (struct aggregate){.matched = 1, .failed = 1}, err));
    TRY(pod_wait_device(stack, device, "Online", NULL, err));
    return 0;
}
