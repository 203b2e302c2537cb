/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_error.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "kubernetes/kube_status.h"

enum { SHOWN_BODY_MAX = 300 };

static const char *kube_code_name(int code)
{
    static const char *const names[] = {
        [KUBE_NOT_FOUND] = "not-found",
        [KUBE_CONFLICT] = "conflict",
        [KUBE_EXISTS] = "exists",
        [KUBE_FORBIDDEN] = "forbidden",
        [KUBE_UNAUTHORIZED] = "unauthorized",
        [KUBE_INVALID] = "invalid",
        [KUBE_GONE] = "gone",
        [KUBE_THROTTLED] = "throttled",
        [KUBE_UNAVAILABLE] = "unavailable",
        [KUBE_REFUSED] = "refused",
        [KUBE_CONFIG] = "config",
        [KUBE_UNTRUSTED] = "untrusted",
    };
    return code > 0 && code < (int)ARRAY_SIZE(names) ? names[code] : "unknown";
}
const struct error_domain kube_error_domain = {"kube", kube_code_name};

static enum kube_error code_of(int http_status, const char *reason)
{
    switch (http_status) {
    case 400:
    case 422:
        return KUBE_INVALID;
    case 401:
        return KUBE_UNAUTHORIZED;
    case 403:
        return KUBE_FORBIDDEN;
    case 404:
        return KUBE_NOT_FOUND;
    case 408:
        return KUBE_UNAVAILABLE;
    case 409:
        return strcmp(reason, "AlreadyExists") == 0 ? KUBE_EXISTS : KUBE_CONFLICT;
    case 410:
        return KUBE_GONE;
    case 429:
        return KUBE_THROTTLED;
    default:
        return http_status >= 500 ? KUBE_UNAVAILABLE : KUBE_REFUSED;
    }
}

static const char *text_member(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text ? text : "";
}

/* Fields the message does not name already. */
static void add_causes(const cJSON *status, struct text_buffer *detail)
{
    const cJSON *details = cJSON_GetObjectItemCaseSensitive(status, "details");
    const cJSON *cause = NULL;

    cJSON_ArrayForEach(cause, cJSON_GetObjectItemCaseSensitive(details, "causes")) {
        const char *field = text_member(cause, "field");
        if (*field && !strstr(text_buffer_text(detail), field))
            text_buffer_format(detail, "; %s: %s", field, text_member(cause, "message"));
    }
}

static int refuse(int http_status, const cJSON *status, const char *operation, const char *subject, struct error *err)
{
    cleanup_text_buffer struct text_buffer detail = {0};
    const char *reason = text_member(status, "reason");
    const char *message = text_member(status, "message");

    if (*message)
        text_buffer_add(&detail, message);
    else
        text_buffer_format(&detail, "status %d%s%s", http_status, *reason ? ", " : "", reason);
    add_causes(status, &detail);
    return error_set(err, &kube_error_domain, (int)code_of(http_status, reason), operation, subject, "%s",
                     text_buffer_text(&detail));
}

int kube_status_refuse(int http_status, const char *body, size_t size, const char *operation, const char *subject,
                       struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *status = NULL;
    cleanup_error struct error ignored = ERROR_INIT;

    if (json_parse_tolerant(body, size, &status, &ignored) == 0 && strcmp(text_member(status, "kind"), "Status") == 0)
        return refuse(http_status, status, operation, subject, err);
    size = size < SHOWN_BODY_MAX ? size : SHOWN_BODY_MAX;
    while (size > 0 && strchr(" \r\n", body[size - 1]))
        size--;
    cleanup_free char *shown = text_to_utf8(body, size);
    /* A Status tells of an object that is missing; a path that leads nowhere gets no Status. */
    const char *hint =
        http_status == 404 ? " (is the kind's CustomResourceDefinition there, and the server's URL right?)" : "";
    return error_set(err, &kube_error_domain, (int)code_of(http_status, ""), operation, subject, "status %d%s%s%s",
                     http_status, *shown ? ": " : "", shown, hint);
}

int kube_status_refuse_object(const cJSON *status, const char *operation, const char *subject, struct error *err)
{
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(status, "code");

    return refuse(cJSON_IsNumber(code) ? code->valueint : 500, status, operation, subject, err);
}
