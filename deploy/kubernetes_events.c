/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/kubernetes_events.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define READ_MS 3000 /* the deployment's own deadline has passed when this is asked for */

/** What is looked for, and the newest that was found. */
struct search {
    const char *name;
    char *time;
    char *text;
};

static bool is_about(const cJSON *event, const char *name)
{
    const char *object = kube_text(event, "involvedObject.name", "");
    size_t size = strlen(name);

    return strncmp(object, name, size) == 0 && (object[size] == '\0' || object[size] == '-');
}

/** Which of the times an event has depends on who wrote it. */
static const char *time_of(const cJSON *event)
{
    static const char *const paths[] = {"series.lastObservedTime", "lastTimestamp", "eventTime",
                                        "metadata.creationTimestamp"};

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        const char *time = kube_text(event, paths[i], "");
        if (time[0])
            return time;
    }
    return "";
}

static int on_event(void *context, cJSON *event, struct error *err)
{
    struct search *search = context;
    const char *time = time_of(event);

    (void)err;
    if (!is_about(event, search->name) || (search->time && strcmp(time, search->time) < 0))
        return 0;
    free(search->time);
    free(search->text);
    search->time = text_copy(time);
    search->text = text_format("%s %s %s: %s: %s", time, kube_text(event, "involvedObject.kind", ""),
                               kube_text(event, "involvedObject.name", ""), kube_text(event, "reason", ""),
                               kube_text(event, "message", ""));
    return 0;
}

char *kubernetes_newest_warning(const struct kubernetes_apply *apply, const char *name)
{
    static const struct kube_list_options options = {.field_selector = "type=Warning"};
    cleanup_error struct error unreadable = ERROR_INIT;
    struct search search = {.name = name};

    int result = kube_list(apply->target->client, &kube_events, apply->target->namespace_name, &options, on_event,
                           &search, deadline_in_ms(READ_MS), NULL, &unreadable);
    free(search.time);
    if (result < 0) {
        free(search.text);
        return NULL;
    }
    return search.text;
}
