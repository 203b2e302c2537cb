/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "tests/host/scenario.h"

FLEET_TEST(host_ping, is_answered, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scenario struct scenario scenario = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    TRY(scenario_without_podman(test, &scenario, err));
    TRY(fleet_ping(host_stack_commands(scenario.stack), host_agent_device(scenario.agent), deadline_in_ms(5000), &reply,
                   err));
    CHECK(text_equal(reply->device_id, host_agent_device(scenario.agent)), "it calls itself %s", reply->device_id);
    CHECK(text_equal(reply->agent_version, FLEET_VERSION), "version %s", reply->agent_version);
    CHECK(reply->uptime_s >= 0 && reply->uptime_s < 60, "uptime %" PRId64 " s", reply->uptime_s);
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_ping, unknown_device_is_offline_at_once, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    cleanup_free char *device = host_stack_unique_name("nobody");
    struct ping_reply *reply = NULL;

    TRY(host_stack_shared(test, &stack, err));
    int64_t started_ms = clock_monotonic_ms();
    CHECK_FAILS(fleet_ping(host_stack_commands(stack), device, deadline_in_ms(5000), &reply, err), command_error_domain,
                COMMAND_DEVICE_OFFLINE);
    int64_t took_ms = clock_monotonic_ms() - started_ms;
    CHECK(took_ms < 1000, "it took %" PRId64 " ms", took_ms);
    CHECK(reply == NULL, "a reply came from nobody");
    return 0;
}

FLEET_TEST(host_ping, stopped_agent_is_offline, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scenario struct scenario scenario = {0};
    struct ping_reply *reply = NULL;
    int exit_code = -1;
    int64_t took_ms = 0;

    TRY(scenario_without_podman(test, &scenario, err));
    TRY(host_agent_stop(scenario.agent, &exit_code, &took_ms, err));
    CHECK(exit_code == 0, "SIGTERM made it exit with %d", exit_code);
    CHECK(took_ms < 1000, "it took %" PRId64 " ms to exit", took_ms);
    CHECK_FAILS(fleet_ping(host_stack_commands(scenario.stack), host_agent_device(scenario.agent), deadline_in_ms(5000),
                           &reply, err),
                command_error_domain, COMMAND_DEVICE_OFFLINE);
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_ping, invalid_device_id_is_refused_at_the_edge, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char *const invalid[] = {"", "a.b", "a b", "*", ">", "device\n", "ü"};
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    struct ping_reply *reply = NULL;

    TRY(host_stack_shared(test, &stack, err));
    for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
        CHECK_FAILS(fleet_ping(host_stack_commands(stack), invalid[i], deadline_in_ms(5000), &reply, err),
                    wire_error_domain, WIRE_INVALID_NAME);
    return 0;
}
