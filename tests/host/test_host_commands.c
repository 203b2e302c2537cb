/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "tests/host/scenario.h"

/*
 * The command protocol as any other NATS client sees it: raw nats.c requests, no FleetCommandsClient.
 */

struct raw_request {
    const char *verb;
    const void *payload;
    int size;
    const char *header; /**< one header to send, or NULL */
    const char *header_value;
};

/** Send one raw request; *reply is destroyed by natsMsg_Destroy. */
static int ask(struct scenario *scenario, const struct raw_request *request, natsMsg **reply, struct error *err)
{
    natsConnection *connection = nats_connection_handle(host_stack_admin(scenario->stack));
    cleanup_free char *subject =
        text_format("device-commands.%s.%s", host_agent_device(scenario->agent), request->verb);
    natsMsg *message = NULL;

    natsStatus status = natsMsg_Create(&message, subject, NULL, request->payload, request->size);
    if (status == NATS_OK && request->header)
        status = natsMsgHeader_Set(message, request->header, request->header_value);
    if (status == NATS_OK)
        status = natsConnection_RequestMsg(reply, connection, message, 3000);
    natsMsg_Destroy(message);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "requesting", subject);
}

static int expect_error_reply(struct scenario *scenario, const struct raw_request *request,
                              enum command_error_kind kind, struct error *err)
{
    natsMsg *message = NULL;
    CLEANUP(error_reply_free) struct error_reply *reply = NULL;

    TRY(ask(scenario, request, &message, err));
    int decoded = error_reply_decode(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), &reply, err);
    natsMsg_Destroy(message);
    TRY(decoded);
    CHECK(reply != NULL, "%s was not refused", request->verb);
    CHECK(reply->kind == kind, "%s was refused as %s: %s", request->verb, command_error_kind_name(reply->kind),
          reply->message);
    CHECK(reply->message && *reply->message, "refused without a reason");
    return 0;
}

FLEET_TEST(host_commands, refusals_are_typed, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    static const struct {
        struct raw_request request;
        enum command_error_kind kind;
    } cases[] = {
        {{.verb = "dance"}, COMMAND_BAD_REQUEST},
        {{.verb = "ping.twice"}, COMMAND_BAD_REQUEST},
        {{.verb = "logs"}, COMMAND_UNSUPPORTED},
        {{.verb = "exec"}, COMMAND_UNSUPPORTED},
        {{.verb = "ping", .payload = "{", .size = 1}, COMMAND_BAD_REQUEST},
        {{.verb = "ping", .payload = "[]", .size = 2}, COMMAND_BAD_REQUEST},
        {{.verb = "ping", .payload = "\0\xff", .size = 2}, COMMAND_BAD_REQUEST},
        {{.verb = "ping", .header = HEADER_DEADLINE, .header_value = "2020-01-01T00:00:00Z"},
         COMMAND_DEADLINE_EXCEEDED},
        {{.verb = "ping", .header = HEADER_DEADLINE, .header_value = "tomorrow"}, COMMAND_BAD_REQUEST},
    };
    cleanup_scenario struct scenario scenario = {0};

    TRY(scenario_without_podman(test, &scenario, err));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        TRY(expect_error_reply(&scenario, &cases[i].request, cases[i].kind, err));
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_commands, ping_over_raw_nats, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    static const struct raw_request requests[] = {
        {.verb = "ping"},
        {.verb = "ping", .payload = "{}", .size = 2},
        {.verb = "ping", .payload = "{\"from\":\"the future\"}", .size = 21},
        {.verb = "ping", .header = HEADER_DEADLINE, .header_value = "2999-01-01T00:00:00Z"},
        {.verb = "ping", .header = HEADER_REQUEST_ID, .header_value = "request-42"},
    };
    cleanup_scenario struct scenario scenario = {0};

    TRY(scenario_without_podman(test, &scenario, err));
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        natsMsg *message = NULL;
        CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

        TRY(ask(&scenario, &requests[i], &message, err));
        int decoded = ping_reply_decode(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), &reply, err);
        natsMsg_Destroy(message);
        TRY(decoded);
        CHECK(text_equal(reply->device_id, host_agent_device(scenario.agent)), "request %zu: %s answers", i,
              reply->device_id);
    }
    return scenario_finish(&scenario, err);
}

/** What the agent says of its device, read as an administrator reads it. */
static int read_own_value(struct scenario *scenario, const char *bucket_name, const char *key, struct kv_value *value,
                          struct error *err)
{
    CLEANUP(kv_bucket_free) struct kv_bucket *bucket = NULL;

    if (kv_bucket_open(host_stack_admin(scenario->stack), bucket_name, 0, &bucket, err) < 0)
        return -1;
    return kv_get(bucket, key, value, err);
}

struct published {
    struct scenario *scenario;
    const char *bucket;
    const char *key;
    uint64_t newer_than;
    struct kv_value value;
};

static int value_is_there(void *context, struct text_buffer *state, struct error *err)
{
    struct published *published = context;
    cleanup_error struct error failure = ERROR_INIT;

    kv_value_clear(&published->value);
    if (read_own_value(published->scenario, published->bucket, published->key, &published->value, &failure) == 0) {
        text_buffer_format(state, "%s at revision %" PRIu64, published->key, published->value.revision);
        return published->value.revision > published->newer_than;
    }
    text_buffer_format(state, "no %s", published->key);
    if (error_is(&failure, &kv_error_domain, KV_NOT_FOUND))
        return 0;
    error_move(err, &failure);
    return -1;
}

FLEET_TEST(host_commands, device_info_and_heartbeat_are_published, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scenario struct scenario scenario = {0};
    static const struct host_agent_options options = {.heartbeat_interval_ms = 200};
    CLEANUP(device_info_free) struct device_info *info = NULL;
    CLEANUP(device_heartbeat_free) struct device_heartbeat *heartbeat = NULL;
    struct wire_key key;

    TRY(host_stack_shared(test, &scenario.stack, err));
    TRY(host_agent_new(scenario.stack, &options, &scenario.agent, err));
    TRY(device_info_key(host_agent_device(scenario.agent), &key, err));
    struct published published = {&scenario, BUCKET_DEVICE_INFO, key.text, 0, {0}};
    TRY(wait_until("device-info", value_is_there, &published, NULL, deadline_in_ms(5000), err));
    int decoded = device_info_decode(published.value.data, published.value.size, &info, err);
    kv_value_clear(&published.value);
    TRY(decoded);
    CHECK(text_equal(info->device_id, host_agent_device(scenario.agent)), "it is about %s", info->device_id);
    CHECK(info->inventory.cpus > 0 && info->inventory.memory_kb > 0, "an empty inventory");

    TRY(device_heartbeat_key(host_agent_device(scenario.agent), &key, err));
    published.bucket = BUCKET_DEVICE_HEARTBEAT;
    TRY(wait_until("a heartbeat", value_is_there, &published, NULL, deadline_in_ms(5000), err));
    published.newer_than = published.value.revision;
    TRY(wait_until("the next heartbeat", value_is_there, &published, NULL, deadline_in_ms(5000), err));
    decoded = device_heartbeat_decode(published.value.data, published.value.size, &heartbeat, err);
    kv_value_clear(&published.value);
    TRY(decoded);
    CHECK(text_equal(heartbeat->agent_version, FLEET_VERSION), "version %s", heartbeat->agent_version);
    return scenario_finish(&scenario, err);
}

FLEET_TEST(host_commands, unknown_credentials_are_refused, .gate = "host", NEEDS(CAPABILITY_NATS_SERVER))
{
    CLEANUP(host_stack_free) struct host_stack *stack = NULL;
    CLEANUP(credentials_free) struct credentials *wrong = NULL;
    struct nats_connection *connection = NULL;

    TRY(host_stack_shared(test, &stack, err));
    TRY(credentials_user_password("admin", "guessed", &wrong, err));
    const char *const urls[] = {host_stack_nats_url(stack), NULL};
    struct nats_settings settings = {.urls = urls, .name = "intruder", .credentials = wrong};
    CHECK_FAILS(nats_connection_open(&settings, &connection, err), nats_error_domain, NATS_CONNECTION_AUTH_FAILED);
    return 0;
}
