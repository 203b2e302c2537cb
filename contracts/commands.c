/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "contracts/codec.h"

#define SUBJECT_PREFIX "device-commands."

static const char *const verb_names[] = {
    [VERB_PING] = "ping",
    [VERB_LOGS] = "logs",
    [VERB_EXEC] = "exec",
};

static const char *const kind_names[] = {
    [COMMAND_BAD_REQUEST] = "BadRequest",
    [COMMAND_NOT_FOUND] = "NotFound",
    [COMMAND_FORBIDDEN] = "Forbidden",
    [COMMAND_UNSUPPORTED] = "Unsupported",
    [COMMAND_DEADLINE_EXCEEDED] = "DeadlineExceeded",
    [COMMAND_INTERNAL] = "Internal",
};

const char *command_verb_name(enum command_verb verb)
{
    return (size_t)verb < ARRAY_SIZE(verb_names) ? verb_names[verb] : "unknown";
}

enum command_verb command_verb_parse(const char *name)
{
    for (size_t verb = 0; name && verb < ARRAY_SIZE(verb_names); verb++) {
        if (strcmp(name, verb_names[verb]) == 0)
            return (enum command_verb)verb;
    }
    return VERB_UNKNOWN;
}

int command_subject(const char *device, enum command_verb verb, struct wire_subject *ret, struct error *err)
{
    if (token_check(device, "device id", err) < 0)
        return -1;
    if ((size_t)verb >= ARRAY_SIZE(verb_names))
        return error_set(err, &wire_error_domain, WIRE_INVALID_NAME, "building a command subject for", device,
                         "the verb is not known");
    snprintf(ret->text, sizeof(ret->text), SUBJECT_PREFIX "%s.%s", device, verb_names[verb]);
    return 0;
}

int command_subscription(const char *device, struct wire_subject *ret, struct error *err)
{
    if (token_check(device, "device id", err) < 0)
        return -1;
    snprintf(ret->text, sizeof(ret->text), SUBJECT_PREFIX "%s.>", device);
    return 0;
}

const char *command_subject_verb(const char *subject, const char *device)
{
    size_t device_size = strlen(device);

    if (!text_starts_with(subject, SUBJECT_PREFIX))
        return NULL;
    const char *rest = subject + strlen(SUBJECT_PREFIX);
    if (strncmp(rest, device, device_size) != 0 || rest[device_size] != '.' || rest[device_size + 1] == '\0')
        return NULL;
    return rest + device_size + 1;
}

static int ping_reply_take(const struct json_cursor *root, struct ping_reply *reply, struct error *err)
{
    struct json_cursor member;

    if (json_member(root, "device_id", &member, err) < 0 || codec_token(&member, &reply->device_id, err) < 0)
        return -1;
    if (json_member(root, "agent_version", &member, err) < 0 ||
        json_string(&member, COMMAND_TEXT_MAX, &reply->agent_version, err) < 0)
        return -1;
    if (json_member(root, "uptime_s", &member, err) < 0)
        return -1;
    return json_integer(&member, 0, WIRE_INTEGER_MAX, &reply->uptime_s, err);
}

int ping_reply_decode(const char *data, size_t size, struct ping_reply **ret, struct error *err)
{
    CLEANUP(ping_reply_free) struct ping_reply *reply = NEW(struct ping_reply);
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (codec_parse(data, size, COMMAND_PAYLOAD_MAX, &document, err) < 0)
        return codec_error(err, "decoding a ping reply");
    struct json_cursor root = json_root(document);
    if (ping_reply_take(&root, reply, err) < 0)
        return codec_error(err, "decoding a ping reply");
    *ret = TAKE_PTR(reply);
    return 0;
}

int ping_reply_encode(const struct ping_reply *reply, char **ret, struct error *err)
{
    /* written without reading it back, unlike the other encoders: this is on the path of every ping */
    if (token_check(reply->device_id, "device id", err) < 0)
        return error_wrap(err, "encoding a ping reply", NULL);
    if (reply->uptime_s < 0 || reply->uptime_s > WIRE_INTEGER_MAX)
        return error_set(err, &wire_error_domain, WIRE_MALFORMED, "encoding a ping reply", NULL,
                         "$.uptime_s: %lld is out of range", (long long)reply->uptime_s);
    cleanup_free char *version = utf8_clean(reply->agent_version ? reply->agent_version : "", COMMAND_TEXT_MAX);
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();
    json_add_text(document, "device_id", reply->device_id);
    json_add_text(document, "agent_version", version);
    json_add_integer(document, "uptime_s", reply->uptime_s);
    *ret = json_print(document);
    return 0;
}

void ping_reply_free(struct ping_reply *reply)
{
    if (!reply)
        return;
    free(reply->device_id);
    free(reply->agent_version);
    free(reply);
}

int ping_request_decode(const char *data, size_t size, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (size == 0)
        return 0;
    if (codec_parse(data, size, COMMAND_PAYLOAD_MAX, &document, err) < 0)
        return codec_error(err, "decoding a ping request");
    return 0;
}

const char *command_error_kind_name(enum command_error_kind kind)
{
    return (size_t)kind < ARRAY_SIZE(kind_names) ? kind_names[kind] : kind_names[COMMAND_INTERNAL];
}

static enum command_error_kind kind_parse(const char *name)
{
    for (size_t kind = 0; kind < ARRAY_SIZE(kind_names); kind++) {
        if (strcmp(name, kind_names[kind]) == 0)
            return (enum command_error_kind)kind;
    }
    return COMMAND_INTERNAL; /* a kind of a later version: the caller can do no more about it */
}

/** *ret stays NULL when there is no "error" member. */
static int error_reply_take(const struct json_cursor *root, struct error_reply **ret, struct error *err)
{
    struct json_cursor object, member;
    cleanup_free char *kind = NULL;
    cleanup_free char *message = NULL;

    if (json_optional(root, "error", &object, err) < 0)
        return -1;
    if (!json_present(&object))
        return 0;
    if (json_member(&object, "kind", &member, err) < 0 || json_string(&member, COMMAND_TEXT_MAX, &kind, err) < 0 ||
        codec_optional_text(&object, "message", COMMAND_PAYLOAD_MAX, &message, err) < 0)
        return -1;
    *ret = NEW(struct error_reply);
    (*ret)->kind = kind_parse(kind);
    (*ret)->message = utf8_clean(message ? message : "", COMMAND_MESSAGE_MAX);
    return 0;
}

int error_reply_decode(const char *data, size_t size, struct error_reply **ret, struct error *err)
{
    CLEANUP(error_reply_free) struct error_reply *reply = NULL;
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (codec_parse(data, size, COMMAND_PAYLOAD_MAX, &document, err) < 0)
        return codec_error(err, "decoding a reply");
    struct json_cursor root = json_root(document);
    if (error_reply_take(&root, &reply, err) < 0)
        return codec_error(err, "decoding an error reply");
    *ret = TAKE_PTR(reply);
    return 0;
}

char *error_reply_encode(enum command_error_kind kind, const char *message)
{
    cleanup_free char *clean = utf8_clean(message ? message : "", COMMAND_MESSAGE_MAX);
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();
    cJSON *error = json_add_object(document, "error");

    json_add_text(error, "kind", command_error_kind_name(kind));
    json_add_text(error, "message", clean);
    return json_print(document);
}

void error_reply_free(struct error_reply *reply)
{
    if (!reply)
        return;
    free(reply->message);
    free(reply);
}
