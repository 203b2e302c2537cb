/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command_server.h"

#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/text.h"
#include "contracts/commands.h"
#include "tests/unit/support_nats.h"

#define WAIT_MS 5000

/** A command server and, on a connection of its own, somebody who asks it. */
struct scene {
    struct test_nats *nats;
    struct nats_connection *device;
    struct nats_connection *asker;
    struct command_server *server;
    natsMsg *reply;
};

static void scene_clear(struct scene *scene)
{
    natsMsg_Destroy(scene->reply);
    if (scene->device)
        nats_connection_close(scene->device);
    command_server_free(scene->server);
    nats_connection_free(scene->device);
    nats_connection_free(scene->asker);
    test_nats_free(scene->nats);
}
#define cleanup_scene __attribute__((cleanup(scene_clear)))

static int scene_set(struct test_context *test, struct scene *scene, struct error *err)
{
    TRY(test_nats_start(test, &scene->nats, err));
    TRY(test_nats_admin(scene->nats, &scene->device, err));
    TRY(test_nats_admin(scene->nats, &scene->asker, err));
    TRY(command_server_new("pi-01", "1.2.3", &scene->server, err));
    TRY(command_server_subscribe(scene->server, nats_connection_handle(scene->device), err));
    TRY(nats_connection_flush(scene->device, deadline_in_ms(WAIT_MS), err));
    return 0;
}

/** Ask with up to one header; the reply is in scene->reply. */
static int ask(struct scene *scene, const char *verb, const char *data, size_t size, const char *key, const char *value,
               struct error *err)
{
    cleanup_free char *subject = text_format("device-commands.pi-01.%s", verb);
    natsMsg *request = NULL;
    natsStatus status = natsMsg_Create(&request, subject, NULL, data, (int)size);

    natsMsg_Destroy(TAKE_PTR(scene->reply));
    if (status == NATS_OK && key)
        status = natsMsgHeader_Set(request, key, value);
    if (status == NATS_OK)
        status = natsConnection_RequestMsg(&scene->reply, nats_connection_handle(scene->asker), request, WAIT_MS);
    natsMsg_Destroy(request);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "asking", subject);
}

static int check_refused(struct scene *scene, enum command_error_kind kind, struct error *err)
{
    CLEANUP(error_reply_free) struct error_reply *reply = NULL;

    TRY(error_reply_decode(natsMsg_GetData(scene->reply), (size_t)natsMsg_GetDataLength(scene->reply), &reply, err));
    CHECK(reply != NULL, "not an error reply: %s", natsMsg_GetData(scene->reply));
    CHECK(reply->kind == kind, "%s: %s", command_error_kind_name(reply->kind), reply->message);
    return 0;
}

static int check_pong(struct scene *scene, struct error *err)
{
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;

    TRY(ping_reply_decode(natsMsg_GetData(scene->reply), (size_t)natsMsg_GetDataLength(scene->reply), &reply, err));
    CHECK(text_equal(reply->device_id, "pi-01") && text_equal(reply->agent_version, "1.2.3"), "%s",
          natsMsg_GetData(scene->reply));
    CHECK(reply->uptime_s >= 0 && reply->uptime_s < 60, "uptime %d", (int)reply->uptime_s);
    return 0;
}

FLEET_TEST(command_server, ping_is_answered, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    const char *id = NULL;

    TRY(scene_set(test, &scene, err));
    TRY(ask(&scene, "ping", NULL, 0, NULL, NULL, err));
    TRY(check_pong(&scene, err));
    CHECK(natsMsgHeader_Get(scene.reply, HEADER_REQUEST_ID, &id) != NATS_OK, "an id that was not given is echoed");
    TRY(ask(&scene, "ping", "{\"later\":1}", 11, HEADER_REQUEST_ID, "id-7", err));
    TRY(check_pong(&scene, err));
    CHECK(natsMsgHeader_Get(scene.reply, HEADER_REQUEST_ID, &id) == NATS_OK && text_equal(id, "id-7"),
          "the id is not echoed");
    return 0;
}

FLEET_TEST(command_server, bad_payloads_are_refused, NEEDS(CAPABILITY_NATS_SERVER))
{
    static const char *const payloads[] = {"x", "[]", "7", "{", "{} {}", "\xff\xfe"};
    cleanup_scene struct scene scene = {0};
    size_t size = COMMAND_PAYLOAD_MAX + 1;
    cleanup_free char *large = NEW_ARRAY(char, size);
    const char *id = NULL;

    TRY(scene_set(test, &scene, err));
    for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
        TRY(ask(&scene, "ping", payloads[i], strlen(payloads[i]), HEADER_REQUEST_ID, "id-8", err));
        TRY(check_refused(&scene, COMMAND_BAD_REQUEST, err));
        CHECK(natsMsgHeader_Get(scene.reply, HEADER_REQUEST_ID, &id) == NATS_OK && text_equal(id, "id-8"),
              "the id is not echoed");
    }
    memset(large, ' ', size);
    TRY(ask(&scene, "ping", large, size, NULL, NULL, err));
    return check_refused(&scene, COMMAND_BAD_REQUEST, err);
}

FLEET_TEST(command_server, verbs_it_does_not_do_are_refused, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(ask(&scene, "reboot", NULL, 0, NULL, NULL, err));
    TRY(check_refused(&scene, COMMAND_BAD_REQUEST, err));
    TRY(ask(&scene, "ping.more", NULL, 0, NULL, NULL, err));
    TRY(check_refused(&scene, COMMAND_BAD_REQUEST, err));
    TRY(ask(&scene, "\xc3\x28\"\\", NULL, 0, NULL, NULL, err));
    TRY(check_refused(&scene, COMMAND_BAD_REQUEST, err));
    TRY(ask(&scene, "logs", NULL, 0, NULL, NULL, err));
    TRY(check_refused(&scene, COMMAND_UNSUPPORTED, err));
    TRY(ask(&scene, "exec", NULL, 0, NULL, NULL, err));
    return check_refused(&scene, COMMAND_UNSUPPORTED, err);
}

FLEET_TEST(command_server, deadlines_are_kept, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    TRY(ask(&scene, "ping", NULL, 0, HEADER_DEADLINE, "2999-01-01T00:00:00.000Z", err));
    TRY(check_pong(&scene, err));
    TRY(ask(&scene, "ping", NULL, 0, HEADER_DEADLINE, "2001-01-01T00:00:00+02:00", err));
    TRY(check_refused(&scene, COMMAND_DEADLINE_EXCEEDED, err));
    TRY(ask(&scene, "ping", NULL, 0, HEADER_DEADLINE, "tomorrow", err));
    return check_refused(&scene, COMMAND_BAD_REQUEST, err);
}

FLEET_TEST(command_server, headers_count_in_any_case, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    const char *id = NULL;

    TRY(scene_set(test, &scene, err));
    TRY(ask(&scene, "ping", NULL, 0, "x-harmony-deadline", "2001-01-01T00:00:00Z", err));
    TRY(check_refused(&scene, COMMAND_DEADLINE_EXCEEDED, err));
    TRY(ask(&scene, "ping", NULL, 0, "x-harmony-request-id", "id-9", err));
    TRY(check_pong(&scene, err));
    CHECK(natsMsgHeader_Get(scene.reply, HEADER_REQUEST_ID, &id) == NATS_OK && text_equal(id, "id-9"),
          "the id is not echoed");
    return 0;
}

FLEET_TEST(command_server, request_without_reply_subject_is_ignored, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};

    TRY(scene_set(test, &scene, err));
    CHECK(natsConnection_PublishString(nats_connection_handle(scene.asker), "device-commands.pi-01.ping", "x") ==
              NATS_OK,
          "publishing failed");
    TRY(ask(&scene, "ping", NULL, 0, NULL, NULL, err));
    return check_pong(&scene, err);
}

FLEET_TEST(command_server, answers_once_after_subscribing_again, NEEDS(CAPABILITY_NATS_SERVER))
{
    cleanup_scene struct scene scene = {0};
    natsSubscription *inbox = NULL;
    natsMsg *reply = NULL;

    TRY(scene_set(test, &scene, err));
    for (int i = 0; i < 5; i++)
        TRY(command_server_subscribe(scene.server, nats_connection_handle(scene.device), err));
    TRY(nats_connection_flush(scene.device, deadline_in_ms(WAIT_MS), err));
    natsConnection *asker = nats_connection_handle(scene.asker);
    CHECK(natsConnection_SubscribeSync(&inbox, asker, "answers") == NATS_OK, "subscribing failed");
    natsConnection_PublishRequest(asker, "device-commands.pi-01.ping", "answers", NULL, 0);
    natsStatus first = natsSubscription_NextMsg(&reply, inbox, WAIT_MS);
    natsMsg_Destroy(TAKE_PTR(reply));
    natsStatus second = natsSubscription_NextMsg(&reply, inbox, 100);
    natsMsg_Destroy(TAKE_PTR(reply));
    natsSubscription_Destroy(inbox);
    CHECK(first == NATS_OK && second == NATS_TIMEOUT, "first %d, second %d", first, second);
    return 0;
}

FLEET_TEST(command_server, device_id_is_checked)
{
    CLEANUP(command_server_free) struct command_server *server = NULL;

    CHECK_FAILS(command_server_new("pi.01", "1", &server, err), wire_error_domain, WIRE_INVALID_NAME);
    CHECK_FAILS(command_server_new("", "1", &server, err), wire_error_domain, WIRE_INVALID_NAME);
    return 0;
}
