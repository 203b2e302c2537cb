/* SPDX-License-Identifier: Apache-2.0 */
#include <nats/nats.h>

#include "base/memory.h"
#include "contracts/names.h"
#include "messaging/kv.h"
#include "tests/pod/pod_scenario.h"

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
