/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/command_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "contracts/commands.h"
#include "messaging/connection.h"
#include "messaging/headers.h"
#include "messaging/subscription_gate.h"

#define SHOWN_VERB_MAX 64 /* bytes of an unknown verb that are repeated in the reply */
#define LAST_CALL_MS   1000

struct command_server {
    char *device_id;
    char *ping_head; /* the ping reply up to the uptime, so that a ping formats one number */
    struct wire_subject subject;
    int64_t started_ms;
    struct subscription_gate gate;
    natsSubscription *subscription;
    natsConnection *handle; /* of the subscription, which keeps it */
};

/** What is known of a request while it is answered. */
struct request {
    struct command_server *server;
    natsConnection *connection;
    natsMsg *message;
    const char *id;       /* X-Harmony-Request-Id, NULL: none */
    const char *deadline; /* X-Harmony-Deadline, NULL: none */
};

int64_t command_server_uptime_s(const struct command_server *server)
{
    return (clock_monotonic_ms() - server->started_ms) / 1000;
}

static natsStatus send_with_id(const struct request *request, const char *data, size_t size)
{
    natsMsg *reply = NULL;
    natsStatus status = natsMsg_Create(&reply, natsMsg_GetReply(request->message), NULL, data, (int)size);

    if (status == NATS_OK)
        status = natsMsgHeader_Set(reply, HEADER_REQUEST_ID, request->id);
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(request->connection, reply);
    natsMsg_Destroy(reply);
    return status;
}

static void send_reply(const struct request *request, const char *data, size_t size)
{
    natsStatus status;

    if (request->id)
        status = send_with_id(request, data, size);
    else
        status = natsConnection_Publish(request->connection, natsMsg_GetReply(request->message), data, (int)size);
    if (status != NATS_OK) /* the connection is gone, and with it the one who asked */
        log_debug("reply not sent", LOG_TEXT("subject", natsMsg_GetSubject(request->message)),
                  LOG_TEXT("reason", natsStatus_GetText(status)));
}

static void send_error(const struct request *request, enum command_error_kind kind, const char *message)
{
    cleanup_free char *reply = error_reply_encode(kind, message);

    send_reply(request, reply, strlen(reply));
}

static void answer_ping(const struct request *request)
{
    const struct command_server *server = request->server;
    cleanup_error struct error refused = ERROR_INIT;
    char reply[512];

    if (ping_request_decode(natsMsg_GetData(request->message), (size_t)natsMsg_GetDataLength(request->message),
                            &refused) < 0) {
        send_error(request, COMMAND_BAD_REQUEST, error_root_detail(&refused));
        return;
    }
    int size = snprintf(reply, sizeof(reply), "%s%" PRId64 "}", server->ping_head, command_server_uptime_s(server));
    send_reply(request, reply, (size_t)size);
}

/** A subject may hold any bytes; a reply is JSON. */
static void answer_unknown(const struct request *request, const char *verb)
{
    char shown[SHOWN_VERB_MAX + 1];
    size_t size = 0;

    for (; verb[size] && size < SHOWN_VERB_MAX; size++) {
        shown[size] = verb[size];
        if (shown[size] <= ' ' || shown[size] >= 0x7f)
            shown[size] = '?';
    }
    shown[size] = '\0';
    cleanup_free char *message = text_format("unknown verb \"%s\"", shown);
    send_error(request, COMMAND_BAD_REQUEST, message);
}

/** True when somebody still waits for the reply; else the request was answered with an error. */
static bool deadline_is_ahead(const struct request *request)
{
    cleanup_error struct error refused = ERROR_INIT;
    int64_t deadline_ms = 0;
    struct timespec now;

    if (!request->deadline)
        return true;
    if (wire_time_parse(request->deadline, &deadline_ms, &refused) < 0) {
        send_error(request, COMMAND_BAD_REQUEST, error_root_detail(&refused));
        return false;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 < deadline_ms)
        return true;
    send_error(request, COMMAND_DEADLINE_EXCEEDED, "the deadline had passed when the request came");
    return false;
}

static void answer(const struct request *request)
{
    const char *verb = command_subject_verb(natsMsg_GetSubject(request->message), request->server->device_id);

    if (!verb || !deadline_is_ahead(request))
        return;
    switch (command_verb_parse(verb)) {
    case VERB_PING:
        answer_ping(request);
        break;
    case VERB_LOGS:
    case VERB_EXEC:
        send_error(request, COMMAND_UNSUPPORTED, "this agent does not know how to do that yet");
        break;
    case VERB_UNKNOWN:
        answer_unknown(request, verb);
        break;
    }
}

static void on_request(natsConnection *connection, natsSubscription *subscription __attribute__((unused)),
                       natsMsg *message, void *closure)
{
    /* Without a reply subject nobody could be told anything. */
    if (natsMsg_GetReply(message)) {
        struct request request = {.server = closure,
                                  .connection = connection,
                                  .message = message,
                                  .id = message_header(message, HEADER_REQUEST_ID),
                                  .deadline = message_header(message, HEADER_DEADLINE)};

        answer(&request);
    }
    natsMsg_Destroy(message);
}

/** Everything of a ping reply that never changes: all but the uptime, which comes last. */
static int make_ping_head(const char *device_id, const char *version, char **ret, struct error *err)
{
    struct ping_reply reply = {(char *)device_id, (char *)version, 0};
    cleanup_free char *text = NULL;

    if (ping_reply_encode(&reply, &text, err) < 0)
        return -1;
    if (!text_ends_with(text, "\"uptime_s\":0}"))
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "preparing ping replies", NULL,
                         "the uptime is not the last member of %s", text);
    *ret = text_copy_n(text, strlen(text) - strlen("0}"));
    return 0;
}

int command_server_new(const char *device_id, const char *version, struct command_server **ret, struct error *err)
{
    struct wire_subject subject;
    cleanup_free char *ping_head = NULL;
    struct command_server *server;

    if (command_subscription(device_id, &subject, err) < 0 || make_ping_head(device_id, version, &ping_head, err) < 0)
        return -1;
    server = NEW(struct command_server);
    server->device_id = text_copy(device_id);
    server->ping_head = TAKE_PTR(ping_head);
    server->subject = subject;
    server->started_ms = clock_monotonic_ms();
    subscription_gate_init(&server->gate);
    *ret = server;
    return 0;
}

int command_server_subscribe(struct command_server *server, natsConnection *handle, struct error *err)
{
    natsStatus status;

    subscription_end(server->handle, TAKE_PTR(server->subscription));
    server->handle = handle;
    status = natsConnection_Subscribe(&server->subscription, handle, server->subject.text, on_request, server);
    if (status != NATS_OK)
        return error_set_nats(err, status, "subscribing", server->subject.text);
    subscription_gate_enter(&server->gate, server->subscription);
    return 0;
}

void command_server_stop(struct command_server *server)
{
    (void)natsSubscription_Unsubscribe(server->subscription); /* it fails when there is none: as good */
}

void command_server_free(struct command_server *server)
{
    if (!server)
        return;
    subscription_end(server->handle, server->subscription);
    if (!subscription_gate_wait(&server->gate, deadline_in_ms(LAST_CALL_MS)))
        return; /* nats.c may still call: rather leak than crash */
    subscription_gate_clear(&server->gate);
    free(server->ping_head);
    free(server->device_id);
    free(server);
}
