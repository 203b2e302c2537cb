/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "tests/pod/pod_scenario.h"

FLEET_TEST(pod_ping, ping, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    TRY(stack_shared(test, &stack, err));
    const char *device = stack_device(stack, 0);
    TRY(fleet_ping(stack_commands(stack), device, deadline_in_ms(5000), &reply, err));
    CHECK(text_equal(reply->device_id, device), "it calls itself %s", reply->device_id);
    CHECK(text_equal(reply->agent_version, FLEET_VERSION), "version %s", reply->agent_version);
    CHECK(reply->uptime_s >= 0 && reply->uptime_s < 3600, "uptime %" PRId64 " s", reply->uptime_s);
    return 0;
}

struct awaited_loss {
    struct stack *stack;
    const char *device;
    int64_t took_ms; /* to find out */
};

static int is_offline(void *context, struct text_buffer *state, struct error *err)
{
    struct awaited_loss *awaited = context;
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    cleanup_error struct error failure = ERROR_INIT;
    int64_t started_ms = clock_monotonic_ms();

    (void)err;
    if (fleet_ping(stack_commands(awaited->stack), awaited->device, deadline_in_ms(5000), &reply, &failure) == 0) {
        text_buffer_add(state, "it answers");
        return 0;
    }
    awaited->took_ms = clock_monotonic_ms() - started_ms;
    text_buffer_add(state, error_root_detail(&failure));
    return error_is(&failure, &command_error_domain, COMMAND_DEVICE_OFFLINE);
}

FLEET_TEST(pod_ping, ping_offline, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    struct awaited_loss loss = {0};

    TRY(stack_shared(test, &stack, err));
    loss.stack = stack;
    TRY(pod_add_device(stack, "dies", "ping-offline", &loss.device, err));
    TRY(stack_kill_device(stack, loss.device, err));
    TRY(wait_until("the device to be offline", is_offline, &loss, NULL, deadline_in_ms(POD_STEP_MS), err));
    CHECK(loss.took_ms < 1000, "it took %" PRId64 " ms to find out", loss.took_ms);
    return 0;
}
