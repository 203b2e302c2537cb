/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/commands_client.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/text.h"
#include "contracts/wire_time.h"

#define PREFIX_SIZE     13 /* 12 random hex digits tell clients apart in an agent's log */
#define REQUEST_ID_SIZE (PREFIX_SIZE + 1 + 16)
#define WAIT_MAX_MS     (24 * 3600 * 1000) /* nats.c knows no "for ever" */

struct fleet_commands_client {
    struct nats_connection *connection;
    char *operator_sub;
    char prefix[PREFIX_SIZE];
    atomic_uint_fast64_t requests;
};

static const char *command_code_name(int code)
{
    switch (code) {
    case COMMAND_DEVICE_OFFLINE:
        return "device-offline";
    case COMMAND_TIMEOUT:
        return "timeout";
    case COMMAND_BAD_REPLY:
        return "bad-reply";
    case COMMAND_NATS:
        return "nats";
    default:
        break;
    }
    if (code >= COMMAND_REMOTE_BASE && code <= COMMAND_REMOTE_BASE + COMMAND_INTERNAL)
        return command_error_kind_name((enum command_error_kind)(code - COMMAND_REMOTE_BASE));
    return "unknown";
}

const struct error_domain command_error_domain = {"command", command_code_name};

int fleet_commands_client_new(struct nats_connection *connection, const char *operator_sub,
                              struct fleet_commands_client **ret, struct error *err)
{
    struct fleet_commands_client *client;

    /* A header's value ends at the line's end. */
    if (operator_sub && (!*operator_sub || strpbrk(operator_sub, "\r\n")))
        return error_set(err, &general_error_domain, GENERAL_INVALID, "making a commands client", NULL,
                         "the operator's subject is empty or has a line break");
    client = NEW(struct fleet_commands_client);
    client->connection = connection;
    client->operator_sub = text_copy(operator_sub);
    text_random_hex(client->prefix, sizeof(client->prefix));
    *ret = client;
    return 0;
}

void fleet_commands_client_free(struct fleet_commands_client *client)
{
    if (!client)
        return;
    free(client->operator_sub);
    free(client);
}

/** The instant `milliseconds` from now, as it goes over the wire. */
static natsStatus format_instant(int64_t milliseconds, char buffer[RFC3339_SIZE])
{
    cleanup_error struct error impossible = ERROR_INIT;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return wire_time_format(now_ms + milliseconds, buffer, &impossible) == 0 ? NATS_OK : NATS_INVALID_ARG;
}

static natsStatus set_headers(struct fleet_commands_client *client, natsMsg *request, struct deadline deadline,
                              int wait_ms)
{
    char id[REQUEST_ID_SIZE];
    char instant[RFC3339_SIZE];
    natsStatus status;

    snprintf(id, sizeof(id), "%s-%" PRIxFAST64, client->prefix, atomic_fetch_add(&client->requests, 1));
    status = natsMsgHeader_Set(request, HEADER_REQUEST_ID, id);
    if (status == NATS_OK && deadline.at_ms != DEADLINE_NEVER.at_ms) {
        status = format_instant(wait_ms, instant);
        if (status == NATS_OK)
            status = natsMsgHeader_Set(request, HEADER_DEADLINE, instant);
    }
    if (status == NATS_OK && client->operator_sub)
        status = natsMsgHeader_Set(request, HEADER_OPERATOR_SUB, client->operator_sub);
    return status;
}

DEFINE_CLEANUP(natsMsg *, natsMsg_Destroy)

/** nats.c's status as what it means for a command. */
static int set_status_error(struct error *err, natsStatus status, const char *operation, const char *device)
{
    if (status == NATS_NO_RESPONDERS)
        return error_set(err, &command_error_domain, COMMAND_DEVICE_OFFLINE, operation, device,
                         "the device is offline: nobody subscribes to its commands");
    if (status == NATS_TIMEOUT)
        return error_set(err, &command_error_domain, COMMAND_TIMEOUT, operation, device,
                         "no reply before the deadline");
    struct error *cause = NEW(struct error);
    error_set_nats(cause, status, "asking over NATS", NULL);
    error_set(err, &command_error_domain, COMMAND_NATS, operation, device, "%s", error_root_detail(cause));
    err->cause = cause;
    return -1;
}

/** One request and its reply, of any content. */
static int request_reply(struct fleet_commands_client *client, const char *device, enum command_verb verb,
                         struct deadline deadline, natsMsg **ret, struct error *err)
{
    CLEANUP(natsMsg_Destroy) natsMsg *request = NULL;
    natsConnection *handle = nats_connection_handle(client->connection);
    int wait_ms = deadline_poll_ms(deadline);
    struct wire_subject subject;
    natsStatus status;

    if (command_subject(device, verb, &subject, err) < 0)
        return -1;
    if (wait_ms == 0)
        return set_status_error(err, NATS_TIMEOUT, command_verb_name(verb), device);
    if (wait_ms < 0 || wait_ms > WAIT_MAX_MS)
        wait_ms = WAIT_MAX_MS;
    if (!handle)
        return set_status_error(err, NATS_NOT_YET_CONNECTED, command_verb_name(verb), device);
    status = natsMsg_Create(&request, subject.text, NULL, NULL, 0);
    if (status == NATS_OK)
        status = set_headers(client, request, deadline, wait_ms);
    if (status == NATS_OK)
        status = natsConnection_RequestMsg(ret, handle, request, wait_ms);
    return status == NATS_OK ? 0 : set_status_error(err, status, command_verb_name(verb), device);
}

/** The reply is not what was asked for: an error reply, or nothing we understand (`reason`, consumed). */
static int refuse_reply(natsMsg *reply, const char *operation, const char *device, struct error *reason,
                        struct error *err)
{
    CLEANUP(error_reply_free) struct error_reply *remote = NULL;
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_error struct error why = ERROR_INIT;

    error_move(&why, reason);
    if (error_reply_decode(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply), &remote, &ignored) == 0 &&
        remote)
        return error_set(err, &command_error_domain, COMMAND_REMOTE_BASE + (int)remote->kind, operation, device,
                         "%s: %s", command_error_kind_name(remote->kind), remote->message);
    cleanup_free char *text = error_text(&why);
    return error_set(err, &command_error_domain, COMMAND_BAD_REPLY, operation, device, "%s", text);
}

int fleet_ping(struct fleet_commands_client *client, const char *device, struct deadline deadline,
               struct ping_reply **ret, struct error *err)
{
    CLEANUP(natsMsg_Destroy) natsMsg *reply = NULL;
    CLEANUP(ping_reply_free) struct ping_reply *ping = NULL;

    if (request_reply(client, device, VERB_PING, deadline, &reply, err) < 0)
        return -1;
    cleanup_error struct error reason = ERROR_INIT;
    if (ping_reply_decode(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply), &ping, &reason) < 0)
        return refuse_reply(reply, "ping", device, &reason, err);
    if (!text_equal(ping->device_id, device))
        return error_set(err, &command_error_domain, COMMAND_BAD_REPLY, "ping", device, "%s answered instead",
                         ping->device_id);
    *ret = TAKE_PTR(ping);
    return 0;
}
