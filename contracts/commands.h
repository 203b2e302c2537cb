/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Request/reply on device-commands.<device>.<verb>; agents subscribe device-commands.<device>.>
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "contracts/names.h"
#include "contracts/wire_time.h" /* HEADER_DEADLINE's value */

#define HEADER_REQUEST_ID   "X-Harmony-Request-Id"
#define HEADER_DEADLINE     "X-Harmony-Deadline" /* RFC 3339 instant after which nobody waits for the reply */
#define HEADER_OPERATOR_SUB "X-Harmony-Operator-Sub"

#define COMMAND_PAYLOAD_MAX (64u << 10) /* bytes of a request, and of a reply to it */
#define COMMAND_MESSAGE_MAX 2048        /* bytes of an error reply's message; the rest is cut, ending in "…" */
#define COMMAND_TEXT_MAX    255         /* bytes of any other text in a reply */

enum command_verb { VERB_PING, VERB_LOGS, VERB_EXEC, VERB_UNKNOWN };
/** "ping", "logs", "exec"; "unknown" for VERB_UNKNOWN. */
const char *command_verb_name(enum command_verb verb);
/** VERB_UNKNOWN for anything else. */
enum command_verb command_verb_parse(const char *name);

struct wire_subject {
    char text[sizeof("device-commands.") + 2 * TOKEN_MAX + 2];
};
/** "device-commands.<device>.<verb>". Errors: WIRE_INVALID_NAME. */
MUST_CHECK int command_subject(const char *device, enum command_verb verb, struct wire_subject *ret, struct error *err);
/** "device-commands.<device>.>". Errors: WIRE_INVALID_NAME. */
MUST_CHECK int command_subscription(const char *device, struct wire_subject *ret, struct error *err);
/** The verb part of a subject this device subscribes: what follows "device-commands.<device>.", or NULL. Borrowed. */
const char *command_subject_verb(const char *subject, const char *device);

struct ping_reply {
    char *device_id;
    char *agent_version;
    int64_t uptime_s;
};
/** Errors: WIRE_MALFORMED (where and why), WIRE_TOO_LARGE. */
MUST_CHECK int ping_reply_decode(const char *data, size_t size, struct ping_reply **ret, struct error *err);
/** Caller frees *ret. Errors: WIRE_INVALID_NAME (the device id), WIRE_MALFORMED (the uptime). */
MUST_CHECK int ping_reply_encode(const struct ping_reply *reply, char **ret, struct error *err);
void ping_reply_free(struct ping_reply *reply);
DEFINE_CLEANUP(struct ping_reply *, ping_reply_free)

/**
 * Validate the payload of a ping request: empty, or a JSON object (unknown members are ignored).
 * Errors: WIRE_MALFORMED, WIRE_TOO_LARGE.
 */
MUST_CHECK int ping_request_decode(const char *data, size_t size, struct error *err);

enum command_error_kind {
    COMMAND_BAD_REQUEST,
    COMMAND_NOT_FOUND,
    COMMAND_FORBIDDEN,
    COMMAND_UNSUPPORTED,
    COMMAND_DEADLINE_EXCEEDED,
    COMMAND_INTERNAL,
};
/** "BadRequest", "NotFound", "Forbidden", "Unsupported", "DeadlineExceeded", "Internal". */
const char *command_error_kind_name(enum command_error_kind kind);

/** {"error":{"kind":…,"message":…}} */
struct error_reply {
    enum command_error_kind kind;
    char *message;
};
/**
 * *ret is NULL (and 0 returned) when the value is not an error reply at all. An unknown kind reads as Internal.
 * Errors: WIRE_MALFORMED when "error" is there but unusable, or the value is not a JSON object; WIRE_TOO_LARGE.
 */
MUST_CHECK int error_reply_decode(const char *data, size_t size, struct error_reply **ret, struct error *err);
/** Never NULL; caller frees. */
char *error_reply_encode(enum command_error_kind kind, const char *message);
void error_reply_free(struct error_reply *reply);
DEFINE_CLEANUP(struct error_reply *, error_reply_free)
