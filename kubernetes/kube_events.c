/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_events.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_status.h"

enum { EVENT_MAX = 8 << 20 /* etcd takes objects of 1.5 MiB */ };

static int take_version(struct kube_events *events, const cJSON *object)
{
    const char *version = kube_resource_version(object);

    if (*version && !text_equal(version, *events->resource_version)) {
        free(*events->resource_version);
        *events->resource_version = text_copy(version);
    }
    if (events->told)
        ++*events->told;
    return 0;
}

static int fail(const struct kube_events *events, enum kube_error code, const char *detail, struct error *err)
{
    return error_set(err, &kube_error_domain, (int)code, events->operation, events->subject, "%s", detail);
}

static int take_status(struct kube_events *events, const cJSON *status, struct error *err)
{
    kube_status_refuse_object(status, events->operation, events->subject, err);
    if (!error_is(err, &kube_error_domain, KUBE_THROTTLED))
        free(TAKE_PTR(*events->resource_version));
    return -1;
}

static int take_event(struct kube_events *events, const cJSON *document, struct error *err)
{
    static const char *const names[] = {
        [KUBE_ADDED] = "ADDED",
        [KUBE_MODIFIED] = "MODIFIED",
        [KUBE_DELETED] = "DELETED",
    };
    const char *type = kube_text(document, "type", "");
    const cJSON *object = kube_member(document, "object");

    if (!*type || !cJSON_IsObject(object))
        return fail(events, KUBE_UNAVAILABLE, "an event has no type or no object", err);
    if (strcmp(type, "BOOKMARK") == 0)
        return take_version(events, object);
    if (strcmp(type, "ERROR") == 0)
        return take_status(events, object, err);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(type, names[i]) != 0)
            continue;
        int result = events->on_event(events->context, (enum kube_event)i, object, err);
        if (result >= 0)
            take_version(events, object);
        return result;
    }
    return 0; /* a type of a later version of the API */
}

static int take_line(struct kube_events *events, const char *line, size_t size, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    cleanup_error struct error reason = ERROR_INIT;

    if (size == 0)
        return 0;
    if (size > EVENT_MAX)
        return fail(events, KUBE_REFUSED, "an event is over the limit", err);
    if (json_parse_tolerant(line, size, &document, &reason) == 0)
        return take_event(events, document, err);
    cleanup_free char *detail = text_format("an event is no JSON: %s", error_root_detail(&reason));
    return fail(events, KUBE_UNAVAILABLE, detail, err);
}

int kube_events_feed(struct kube_events *events, const char *data, size_t size, struct error *err)
{
    const char *end = NULL;

    while ((end = memchr(data, '\n', size))) {
        size_t piece = (size_t)(end - data);
        int result = 0;
        if (events->line.size > 0) {
            text_buffer_append(&events->line, data, piece);
            result = take_line(events, events->line.data, events->line.size, err);
            events->line.size = 0;
        } else {
            result = take_line(events, data, piece, err);
        }
        if (result != 0)
            return result;
        data += piece + 1;
        size -= piece + 1;
    }
    if (events->line.size + size > EVENT_MAX)
        return fail(events, KUBE_REFUSED, "an event is over the limit", err);
    if (size > 0)
        text_buffer_append(&events->line, data, size);
    return 0;
}

void kube_events_clear(struct kube_events *events)
{
    text_buffer_clear(&events->line);
}
