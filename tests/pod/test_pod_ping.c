/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "tests/pod/pod_scenario.h"

FLEET_TEST(pod, ping, .gate = "pod", POD_NEEDS)
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

FLEET_TEST(pod, ping_offline, .gate = "pod", POD_NEEDS)
{
    CLEANUP(stack_free) struct stack *stack = NULL;
    struct ping_reply *reply = NULL;
    const char *device;

    TRY(stack_shared(test, &stack, err));
    TRY(pod_add_device(stack, "dies", "ping-offline", &device, err));
    TRY(stack_kill_device(stack, device, err)); /* gone when this returns */
    int64_t started_ms = clock_monotonic_ms();
    CHECK_FAILS(fleet_ping(stack_commands(stack), device, deadline_in_ms(5000), &reply, err), command_error_domain,
                COMMAND_DEVICE_OFFLINE);
    int64_t took_ms = clock_monotonic_ms() - started_ms;
    CHECK(took_ms < 1000, "it took %" PRId64 " ms", took_ms);
    return 0;
}
