/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_wait.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_backoff.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_stream.h"

enum { SHORT_LIFE_MS = 100 }; /* a watch that ends sooner counts as a failure, or we might ask without a pause */

struct waiting {
    struct kube_client *client;
    const struct kube_resource *resource;
    const char *namespace_name;
    const char *name;
    char *field_selector;
    kube_condition satisfied;
    void *context;
    int wake_fd;
    struct deadline deadline;
    bool found;              /* the list had it */
    int answer;              /* of the condition, last */
    struct text_buffer seen; /* what the object looked like, last */
    char *trouble;           /* why it could not be looked at since; NULL: it could */
};

static void describe_conditions(const cJSON *object, struct text_buffer *seen)
{
    const cJSON *condition = NULL;

    cJSON_ArrayForEach(condition, kube_member(object, "status.conditions")) {
        const char *message = kube_text(condition, "message", "");
        text_buffer_format(seen, ", %s=%s", kube_text(condition, "type", "?"), kube_text(condition, "status", "?"));
        if (*message)
            text_buffer_format(seen, " (%s)", message);
    }
}

/* For the error of a time-out. */
static void describe(const cJSON *object, struct text_buffer *seen)
{
    static const char *const numbers[] = {"replicas", "updatedReplicas", "readyReplicas"};

    seen->size = 0;
    if (!object) {
        text_buffer_add(seen, "there is none");
        return;
    }
    text_buffer_format(seen, "generation %ld", kube_generation(object));
    if (kube_is_deleting(object))
        text_buffer_add(seen, ", being deleted");
    const char *phase = kube_text(object, "status.phase", "");
    if (*phase)
        text_buffer_format(seen, ", %s", phase);
    const cJSON *status = kube_member(object, "status");
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (cJSON_HasObjectItem(status, numbers[i]))
            text_buffer_format(seen, ", %s %ld", numbers[i], kube_number(status, numbers[i], 0));
    describe_conditions(object, seen);
}

static int ask(struct waiting *waiting, const cJSON *object, struct error *err)
{
    describe(object, &waiting->seen);
    free(TAKE_PTR(waiting->trouble));
    waiting->answer = waiting->satisfied(waiting->context, object, err);
    return waiting->answer;
}

static int on_item(void *context, cJSON *item, struct error *err)
{
    struct waiting *waiting = context;

    waiting->found = true;
    return ask(waiting, item, err) < 0 ? -1 : 0;
}

static int on_event(void *context, enum kube_event event, const cJSON *object, struct error *err)
{
    return ask(context, event == KUBE_DELETED ? NULL : object, err);
}

/* List, then watch, until the condition has an answer or the stream ends. Returns -1 with *err set. */
static int look(struct waiting *waiting, struct error *err)
{
    const struct kube_list_options options = {.field_selector = waiting->field_selector};
    const struct kube_stream stream = {
        .client = waiting->client,
        .resource = waiting->resource,
        .namespace_name = waiting->namespace_name,
        .options = options,
        .on_event = on_event,
        .context = waiting,
        .stop_fd = waiting->wake_fd,
    };
    cleanup_free char *version = NULL;

    waiting->found = false;
    if (kube_list(waiting->client, waiting->resource, waiting->namespace_name, &options, on_item, waiting,
                  waiting->deadline, &version, err) < 0)
        return -1;
    if (!waiting->found && ask(waiting, NULL, err) < 0)
        return -1;
    if (waiting->answer > 0)
        return 0;
    return kube_stream_run(&stream, &version, waiting->deadline, err) < 0 ? -1 : 0;
}

static bool may_go_on(const struct waiting *waiting, const struct error *err)
{
    if (waiting->answer < 0 || err->domain != &kube_error_domain)
        return false;
    return err->code == KUBE_UNAVAILABLE || err->code == KUBE_THROTTLED || err->code == KUBE_GONE;
}

static int time_out(const struct waiting *waiting, const char *operation, const char *subject, const struct error *last,
                    struct error *err)
{
    const char *seen = text_buffer_text(&waiting->seen);

    if (*seen)
        return error_set(err, &general_error_domain, GENERAL_TIMEOUT, operation, subject, "%s%s%s", seen,
                         waiting->trouble ? "; then " : "", waiting->trouble ? waiting->trouble : "");
    cleanup_free char *reason = error_text(last);
    return error_set(err, &general_error_domain, GENERAL_TIMEOUT, operation, subject, "%s", reason);
}

static int wait_for_answer(struct waiting *waiting, const char *operation, const char *subject, struct error *err)
{
    int cancel_fd = kube_client_cancel_fd(waiting->client);

    for (int failures = 0;;) {
        cleanup_error struct error last = ERROR_INIT;
        int64_t began_ms = clock_monotonic_ms();
        int result = look(waiting, &last);
        if (result == 0 && waiting->answer > 0)
            return 0;
        if (deadline_passed(waiting->deadline) && waiting->answer == 0)
            return time_out(waiting, operation, subject, &last, err);
        if (result < 0) {
            free(waiting->trouble);
            waiting->trouble = error_text(&last);
        }
        bool is_short = clock_monotonic_ms() - began_ms < SHORT_LIFE_MS;
        failures = result == 0 && !is_short ? 0 : failures + 1;
        bool goes_on = result == 0 || may_go_on(waiting, &last);
        int pause_ms = deadline_poll_ms(deadline_min(waiting->deadline, deadline_in_ms(kube_backoff_ms(failures))));
        if (!goes_on || !kube_backoff_wait(failures > 0 ? pause_ms : 0, cancel_fd, 0)) {
            if (result == 0)
                return error_set(err, &kube_error_domain, KUBE_UNAVAILABLE, operation, subject, "cancelled");
            error_move(err, &last);
            return error_wrap(err, operation, subject);
        }
    }
}

int kube_wait_woken(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                    const char *name, kube_condition satisfied, void *context, int wake_fd, struct deadline deadline,
                    struct error *err)
{
    namespace_name = kube_namespace_or_default(client, namespace_name);
    cleanup_free char *operation = text_format("waiting for %s", resource->kind);
    cleanup_free char *subject = kube_subject(resource, namespace_name, name);
    cleanup_free char *field_selector = text_format("metadata.name=%s", name);
    struct waiting waiting = {
        .client = client,
        .resource = resource,
        .namespace_name = namespace_name,
        .name = name,
        .field_selector = field_selector,
        .satisfied = satisfied,
        .context = context,
        .wake_fd = wake_fd,
        .deadline = deadline,
    };

    int result = wait_for_answer(&waiting, operation, subject, err);
    text_buffer_clear(&waiting.seen);
    free(waiting.trouble);
    return result;
}

int kube_wait(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
              const char *name, kube_condition satisfied, void *context, struct deadline deadline, struct error *err)
{
    return kube_wait_woken(client, resource, namespace_name, name, satisfied, context, 0, deadline, err);
}

static int has_condition(void *context, const cJSON *object, struct error *err)
{
    const char *type = context;
    const cJSON *condition = NULL;

    (void)err;
    cJSON_ArrayForEach(condition, kube_member(object, "status.conditions")) {
        if (text_equal(kube_text(condition, "type", NULL), type))
            return text_equal(kube_text(condition, "status", NULL), "True");
    }
    return 0;
}

int kube_wait_condition(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                        const char *name, const char *condition, struct deadline deadline, struct error *err)
{
    return kube_wait(client, resource, namespace_name, name, has_condition, (void *)condition, deadline, err);
}

static int is_gone(void *context, const cJSON *object, struct error *err)
{
    (void)context;
    (void)err;
    return object == NULL;
}

int kube_wait_gone(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                   const char *name, struct deadline deadline, struct error *err)
{
    return kube_wait(client, resource, namespace_name, name, is_gone, NULL, deadline, err);
}
