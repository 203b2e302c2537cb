/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/names.h"

#include <stdio.h>
#include <string.h>

#include "contracts/codec.h"

static const char *wire_code_name(int code)
{
    switch ((enum wire_error)code) {
    case WIRE_INVALID_NAME:
        return "invalid-name";
    case WIRE_TOO_LARGE:
        return "too-large";
    case WIRE_MALFORMED:
        return "malformed";
    case WIRE_UNKNOWN_TYPE:
        return "unknown-type";
    }
    return "unknown";
}
const struct error_domain wire_error_domain = {"wire", wire_code_name};

const char *const wire_buckets[] = {
    BUCKET_DESIRED_STATE, BUCKET_DEVICE_INFO, BUCKET_DEVICE_STATE, BUCKET_DEVICE_HEARTBEAT, NULL,
};

static bool is_token_character(char c)
{
    /* not isalnum(3): what is a token must not depend on the locale */
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool token_is_valid(const char *text)
{
    size_t size = 0;

    if (!text)
        return false;
    while (size <= TOKEN_MAX && is_token_character(text[size]))
        size++;
    return size >= 1 && size <= TOKEN_MAX && text[size] == '\0';
}

int token_check(const char *text, const char *what, struct error *err)
{
    if (token_is_valid(text))
        return 0;
    if (!text)
        return error_set(err, &wire_error_domain, WIRE_INVALID_NAME, "checking", what, "it is not set");
    cleanup_free char *shown = text_excerpt(text);
    return error_set(err, &wire_error_domain, WIRE_INVALID_NAME, "checking", what,
                     "\"%s\" is not 1 to %d of the characters A-Z, a-z, 0-9, '_' and '-'", shown, TOKEN_MAX);
}

/** prefix + device + separator + rest, both names checked; `deployment` NULL: only the device. */
static int build_key(const char *prefix, const char *device, const char *deployment, struct wire_key *ret,
                     struct error *err)
{
    if (token_check(device, "device id", err) < 0)
        return -1;
    if (deployment && token_check(deployment, "deployment name", err) < 0)
        return -1;
    snprintf(ret->text, sizeof(ret->text), "%s%s%s%s", prefix, device, deployment ? "." : "",
             deployment ? deployment : "");
    return 0;
}

int desired_state_key(const char *device, const char *deployment, struct wire_key *ret, struct error *err)
{
    return build_key("", device, deployment ? deployment : "", ret, err);
}

int desired_state_filter(const char *device, struct wire_key *ret, struct error *err)
{
    if (token_check(device, "device id", err) < 0)
        return -1;
    snprintf(ret->text, sizeof(ret->text), "%s.*", device);
    return 0;
}

int device_info_key(const char *device, struct wire_key *ret, struct error *err)
{
    return build_key("info.", device, NULL, ret, err);
}

int device_state_key(const char *device, const char *deployment, struct wire_key *ret, struct error *err)
{
    return build_key("state.", device, deployment ? deployment : "", ret, err);
}

int device_heartbeat_key(const char *device, struct wire_key *ret, struct error *err)
{
    return build_key("heartbeat.", device, NULL, ret, err);
}

/** Copy the token text[0..size) into `name`; false when it is not one. */
static bool copy_token(const char *text, size_t size, char name[TOKEN_MAX + 1])
{
    if (size > TOKEN_MAX)
        return false;
    memcpy(name, text, size);
    name[size] = '\0';
    return token_is_valid(name);
}

static int parse_key(const char *prefix, const char *key, const char *form, struct wire_target *ret, struct error *err)
{
    struct wire_target target;
    const char *device = key;
    const char *dot = NULL;

    if (key && strncmp(key, prefix, strlen(prefix)) == 0) {
        device = key + strlen(prefix);
        dot = strchr(device, '.');
    }
    if (!dot || !copy_token(device, (size_t)(dot - device), target.device) ||
        !copy_token(dot + 1, strlen(dot + 1), target.deployment)) {
        cleanup_free char *shown = text_excerpt(key ? key : "");
        return error_set(err, &wire_error_domain, WIRE_INVALID_NAME, "reading key", shown, "it is not %s", form);
    }
    *ret = target;
    return 0;
}

int desired_state_key_parse(const char *key, struct wire_target *ret, struct error *err)
{
    return parse_key("", key, "<device>.<deployment>", ret, err);
}

int device_state_key_parse(const char *key, struct wire_target *ret, struct error *err)
{
    return parse_key("state.", key, "state.<device>.<deployment>", ret, err);
}
