/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/commands_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/text.h"
#include "tests/unit/support_nats.h"

#define WAIT_MS 5000

/** A device made of one plain nats.c subscription. */
struct fake_device {
    const char *reply; /* NULL: stays silent */
    atomic_int asked;
    char request_id[128];
    char deadline[128];
    char operator_sub[128];
    int data_size;
};

static void copy_header(natsMsg *message, const char *key, char out[128])
{
    const char *value = NULL;

    if (natsMsgHeader_Get(message, key, &value) == NATS_OK && value)
        strncpy(out, value, 127);
}

static void answer(natsConnection *connection, natsSubscription *subscription __attribute__((unused)), natsMsg *message,
                   void *closure)
{
    struct fake_device *device = closure;

    copy_header(message, HEADER_REQUEST_ID, device->request_id);
    copy_header(message, HEADER_DEADLINE, device->deadline);
    copy_header(message, HEADER_OPERATOR_SUB, device->operator_sub);
    device->data_size = natsMsg_GetDataLength(message);
    atomic_fetch_add(&device->asked, 1);
    if (device->reply)
        natsConnection_PublishString(connection, natsMsg_GetReply(message), device->reply);
    natsMsg_Destroy(message);
}

struct scene {
    struct test_nats *nats;
    struct nats_connection *connection;
    struct fleet_commands_client *client;
    struct fake_device device;
    natsSubscription *subscription;
};

static void scene_clear(struct scene *scene)
{
    natsSubscription_Destroy(scene->subscription);
    fleet_commands_client_free(scene->client);
    nats_connection_free(scene->connection);
    test_nats_free(scene->nats);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static int scene_set(struct test_context *test, const char *reply, struct scene *scene, struct error *err)
{
    scene->device.reply = reply;
    TRY(test_nats_start(test, &scene->nats, err));
    TRY(test_nats_admin(scene->nats, &scene->connection, err));
    TRY(fleet_commands_client_new(scene->connection, "kim@example.org", &scene->client, err));
    CHECK(natsConnection_Subscribe(&scene->subscription, nats_connection_handle(scene->connection),
                                   "device-commands.pi-01.>", answer, &scene->device) == NATS_OK,
          "subscribing failed");
    TRY(nats_connection_flush(scene->connection, deadline_in_ms(WAIT_MS), err));
    return 0;
}

FLEET_TEST(commands_client, ping_is_answered, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    int64_t deadline_ms = 0;
    int64_t now_ms = 0;
    char now[RFC3339_SIZE];

    TRY(scene_set(test, "{\"device_id\":\"pi-01\",\"agent_version\":\"1.2.3\",\"uptime_s\":7}", &scene, err));
    TRY(fleet_ping(scene.client, "pi-01", deadline_in_ms(WAIT_MS), &reply, err));
    CHECK(text_equal(reply->agent_version, "1.2.3") && reply->uptime_s == 7, "the reply was read otherwise");
    CHECK(scene.device.data_size == 0, "a ping has a payload of %d bytes", scene.device.data_size);
    CHECK(strlen(scene.device.request_id) >= 12, "request id \"%s\"", scene.device.request_id);
    CHECK(text_equal(scene.device.operator_sub, "kim@example.org"), "operator sub \"%s\"", scene.device.operator_sub);
    TRY(wire_time_parse(scene.device.deadline, &deadline_ms, err));
    clock_rfc3339(now);
    TRY(wire_time_parse(now, &now_ms, err));
    CHECK(deadline_ms > now_ms && deadline_ms <= now_ms + WAIT_MS, "deadline %s, now %s", scene.device.deadline, now);
    return 0;
}

FLEET_TEST(commands_client, request_ids_differ, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    char first[128];

    TRY(scene_set(test, "{\"device_id\":\"pi-01\",\"agent_version\":\"1\",\"uptime_s\":7}", &scene, err));
    for (int i = 0; i < 2; i++) {
        CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

        TRY(fleet_ping(scene.client, "pi-01", DEADLINE_NEVER, &reply, err));
        if (i == 0)
            memcpy(first, scene.device.request_id, sizeof(first));
    }
    CHECK(scene.device.deadline[0] == '\0', "a deadline of never was sent as %s", scene.device.deadline);
    CHECK(!text_equal(first, scene.device.request_id), "both are %s", first);
    return 0;
}

FLEET_TEST(commands_client, unknown_device_is_offline_at_once, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    int64_t began_ms;

    TRY(scene_set(test, NULL, &scene, err));
    began_ms = clock_monotonic_ms();
    CHECK_FAILS(fleet_ping(scene.client, "pi-02", deadline_in_ms(WAIT_MS), &reply, err), command_error_domain,
                COMMAND_DEVICE_OFFLINE);
    CHECK(clock_monotonic_ms() - began_ms < 1000, "it took %d ms", (int)(clock_monotonic_ms() - began_ms));
    return 0;
}

FLEET_TEST(commands_client, silence_is_a_timeout, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    TRY(scene_set(test, NULL, &scene, err));
    CHECK_FAILS(fleet_ping(scene.client, "pi-01", deadline_in_ms(100), &reply, err), command_error_domain,
                COMMAND_TIMEOUT);
    CHECK_FAILS(fleet_ping(scene.client, "pi-01", deadline_in_ms(0), &reply, err), command_error_domain,
                COMMAND_TIMEOUT);
    CHECK(atomic_load(&scene.device.asked) == 1, "a passed deadline was still sent");
    return 0;
}

static int check_reply(struct test_context *test, const char *text, int code, struct error *err)
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    TRY(scene_set(test, text, &scene, err));
    CHECK_FAILS(fleet_ping(scene.client, "pi-01", deadline_in_ms(WAIT_MS), &reply, err), command_error_domain, code);
    return 0;
}

FLEET_TEST(commands_client, bad_reply_is_told, NEEDS(CAPABILITY_NATS_SERVER))
{
    return check_reply(test, "{\"device_id\":7}", COMMAND_BAD_REPLY, err);
}

FLEET_TEST(commands_client, empty_reply_is_bad, NEEDS(CAPABILITY_NATS_SERVER))
{
    return check_reply(test, "", COMMAND_BAD_REPLY, err);
}

FLEET_TEST(commands_client, reply_of_another_device_is_bad, NEEDS(CAPABILITY_NATS_SERVER))
{
    return check_reply(test, "{\"device_id\":\"pi-9\",\"agent_version\":\"1\",\"uptime_s\":7}", COMMAND_BAD_REPLY, err);
}

FLEET_TEST(commands_client, remote_error_keeps_its_kind, NEEDS(CAPABILITY_NATS_SERVER))
{
    return check_reply(test, "{\"error\":{\"kind\":\"Forbidden\",\"message\":\"not you\"}}",
                       COMMAND_REMOTE_BASE + COMMAND_FORBIDDEN, err);
}

FLEET_TEST(commands_client, device_id_is_checked, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    TRY(scene_set(test, NULL, &scene, err));
    CHECK_FAILS(fleet_ping(scene.client, "pi.01", deadline_in_ms(WAIT_MS), &reply, err), wire_error_domain,
                WIRE_INVALID_NAME);
    CHECK_FAILS(fleet_ping(scene.client, ">", deadline_in_ms(WAIT_MS), &reply, err), wire_error_domain,
                WIRE_INVALID_NAME);
    return 0;
}

FLEET_TEST(commands_client, lost_connection_has_its_cause, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    cleanup_error struct error failure = ERROR_INIT;

    TRY(scene_set(test, NULL, &scene, err));
    nats_connection_close(scene.connection);
    CHECK(fleet_ping(scene.client, "pi-01", deadline_in_ms(WAIT_MS), &reply, &failure) < 0, "it was answered");
    CHECK(error_is(&failure, &command_error_domain, COMMAND_NATS), "another error");
    CHECK(failure.cause && error_is(failure.cause, &nats_error_domain, NATS_CONNECTION_CLOSED), "another cause");
    return 0;
}

#define IN_FLIGHT 50

struct volley {
    struct fleet_commands_client *client;
    atomic_int answered;
};

static void *ping_some(void *argument)
{
    struct volley *volley = argument;

    for (int i = 0; i < 20; i++) {
        CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
        cleanup_error struct error failure = ERROR_INIT;

        if (fleet_ping(volley->client, "pi-01", deadline_in_ms(WAIT_MS), &reply, &failure) == 0)
            atomic_fetch_add(&volley->answered, 1);
    }
    return NULL;
}

FLEET_TEST(commands_client, many_may_be_in_flight, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    struct volley volley = {0};
    pthread_t threads[IN_FLIGHT];

    TRY(scene_set(test, "{\"device_id\":\"pi-01\",\"agent_version\":\"1\",\"uptime_s\":7}", &scene, err));
    volley.client = scene.client;
    for (int i = 0; i < IN_FLIGHT; i++)
        CHECK(pthread_create(&threads[i], NULL, ping_some, &volley) == 0, "no thread");
    for (int i = 0; i < IN_FLIGHT; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&volley.answered) == IN_FLIGHT * 20, "%d of %d", atomic_load(&volley.answered), IN_FLIGHT * 20);
    return 0;
}
