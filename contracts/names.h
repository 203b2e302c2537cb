/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names on the wire: device ids, deployment names, JetStream KV buckets and keys. Ids and names are one NATS token,
 * [A-Za-z0-9_-]{1,63}; anything else is refused at the edge, here.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

extern const struct error_domain wire_error_domain;
enum wire_error {
    WIRE_INVALID_NAME = 1, /**< not a token, or a key or subject that does not parse */
    WIRE_TOO_LARGE,        /**< a value over its limit in bytes */
    WIRE_MALFORMED,        /**< not JSON, or a field of the wrong type, range or form; the detail says where */
    WIRE_UNKNOWN_TYPE,     /**< a score type this build does not know */
};

#define TOKEN_MAX 63 /* bytes of a device id, deployment or container name */

#define BUCKET_DESIRED_STATE    "desired-state"
#define BUCKET_DEVICE_INFO      "device-info"
#define BUCKET_DEVICE_STATE     "device-state"
#define BUCKET_DEVICE_HEARTBEAT "device-heartbeat"
/** The four buckets, NULL-terminated. */
extern const char *const wire_buckets[];

/** True for [A-Za-z0-9_-]{1,63}. NULL is not a token. */
bool token_is_valid(const char *text);
/** Refuse what is not a token. `what` names it in the error: "device id". Errors: WIRE_INVALID_NAME. */
MUST_CHECK int token_check(const char *text, const char *what, struct error *err);

/** A KV key, long enough for the longest one. */
struct wire_key {
    char text[sizeof("heartbeat.") + 2 * TOKEN_MAX + 2];
};

/** "<device>.<deployment>" in desired-state. Errors: WIRE_INVALID_NAME. */
MUST_CHECK int desired_state_key(const char *device, const char *deployment, struct wire_key *ret, struct error *err);
/** "<device>.*": every desired state of one device. */
MUST_CHECK int desired_state_filter(const char *device, struct wire_key *ret, struct error *err);
/** "info.<device>" in device-info. */
MUST_CHECK int device_info_key(const char *device, struct wire_key *ret, struct error *err);
/** "state.<device>.<deployment>" in device-state. */
MUST_CHECK int device_state_key(const char *device, const char *deployment, struct wire_key *ret, struct error *err);
/** "heartbeat.<device>" in device-heartbeat. */
MUST_CHECK int device_heartbeat_key(const char *device, struct wire_key *ret, struct error *err);

struct wire_target {
    char device[TOKEN_MAX + 1];
    char deployment[TOKEN_MAX + 1];
};
/** Take "<device>.<deployment>" apart. Errors: WIRE_INVALID_NAME. */
MUST_CHECK int desired_state_key_parse(const char *key, struct wire_target *ret, struct error *err);
/** Take "state.<device>.<deployment>" apart. Errors: WIRE_INVALID_NAME. */
MUST_CHECK int device_state_key_parse(const char *key, struct wire_target *ret, struct error *err);
