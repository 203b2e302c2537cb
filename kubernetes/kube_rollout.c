/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Waiting for a Deployment or StatefulSet. Its own status does not say why a Pod cannot start, so its Pods are watched
 * beside it: one in trouble wakes us, and then all of the present revision are looked at. Pods of a former revision may
 * be in any trouble: they are being replaced.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_transport.h"
#include "kubernetes/kube_wait.h"

static const struct kube_resource replica_sets = {"apps/v1", "ReplicaSet", "replicasets", true};

struct rollout {
    struct kube_client *client;
    const struct kube_resource *resource;
    const char *namespace_name;
    struct deadline deadline;
    int wake_fd;    /* a Pod is in trouble */
    char *selector; /* NULL: the object was not seen yet */
    struct kube_watch *pods;
    bool was_seen;
    /* while Pods are looked at */
    const char *revision_label;
    char *revision; /* of the Pods that count; NULL: not known yet */
    const char *object_revision;
    char *trouble; /* the first found; NULL: none */
};

/* Why a container will not start as things are, NULL when it may. Borrowed. */
static const char *waiting_reason(const cJSON *container_status)
{
    static const char *const reasons[] = {
        "ErrImagePull",     "ImagePullBackOff",           "ErrImageNeverPull",    "InvalidImageName",
        "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError",
    };
    const char *reason = kube_text(container_status, "state.waiting.reason", "");

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (strcmp(reason, reasons[i]) == 0)
            return reasons[i];
    return NULL;
}

/* The container that keeps a Pod from starting; NULL: none. Borrowed. */
static const cJSON *stuck_container(const cJSON *pod)
{
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const cJSON *container = NULL;
        cJSON_ArrayForEach(container, kube_member(pod, lists[i])) {
            if (waiting_reason(container))
                return container;
        }
    }
    return NULL;
}

static char *describe_trouble(const cJSON *pod, const cJSON *container)
{
    const cJSON *terminated = kube_member(container, "lastState.terminated");
    struct text_buffer text = {0};

    text_buffer_format(&text, "Pod %s: container %s: %s: %s", kube_name(pod), kube_text(container, "name", "?"),
                       waiting_reason(container), kube_text(container, "state.waiting.message", ""));
    if (terminated)
        text_buffer_format(&text, " (it ended with exit code %ld: %s)", kube_number(terminated, "exitCode", -1),
                           kube_text(terminated, "message", kube_text(terminated, "reason", "")));
    return text_buffer_take(&text);
}

static void on_pod(void *context, enum kube_event event, const cJSON *pod)
{
    const struct rollout *rollout = context;
    const uint64_t one = 1;

    if (event == KUBE_DELETED || !stuck_container(pod))
        return;
    ssize_t ignored = write(rollout->wake_fd, &one, sizeof(one));
    (void)ignored;
}

static void add_expression(const cJSON *expression, struct text_buffer *selector)
{
    const char *key = kube_text(expression, "key", "");
    const char *verb = kube_text(expression, "operator", "");
    const char *comma = selector->size > 0 ? "," : "";
    const cJSON *value = NULL;
    const char *separator = "";

    if (strcmp(verb, "Exists") == 0 || strcmp(verb, "DoesNotExist") == 0) {
        text_buffer_format(selector, "%s%s%s", comma, *verb == 'D' ? "!" : "", key);
        return;
    }
    text_buffer_format(selector, "%s%s %s (", comma, key, strcmp(verb, "In") == 0 ? "in" : "notin");
    cJSON_ArrayForEach(value, kube_member(expression, "values")) {
        text_buffer_format(selector, "%s%s", separator, cJSON_IsString(value) ? value->valuestring : "");
        separator = ",";
    }
    text_buffer_add(selector, ")");
}

/* spec.selector as a query has it. Caller frees. */
static char *selector_of(const cJSON *object)
{
    struct text_buffer selector = {0};
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, kube_member(object, "spec.selector.matchLabels")) {
        text_buffer_format(&selector, "%s%s=%s", selector.size > 0 ? "," : "", item->string,
                           cJSON_IsString(item) ? item->valuestring : "");
    }
    cJSON_ArrayForEach(item, kube_member(object, "spec.selector.matchExpressions")) {
        add_expression(item, &selector);
    }
    return text_buffer_take(&selector);
}

static int on_replica_set(void *context, cJSON *item, struct error *err)
{
    struct rollout *rollout = context;

    (void)err;
    if (text_equal(kube_annotation(item, "deployment.kubernetes.io/revision"), rollout->object_revision)) {
        free(rollout->revision);
        rollout->revision = text_copy(kube_label(item, rollout->revision_label));
    }
    return 0;
}

/* Which Pods are of the present revision, by label. */
static int find_revision(struct rollout *rollout, const cJSON *object, struct error *err)
{
    const struct kube_list_options options = {.label_selector = rollout->selector};

    free(rollout->revision);
    rollout->revision = NULL;
    if (rollout->resource == &kube_stateful_sets) {
        rollout->revision_label = "controller-revision-hash";
        rollout->revision = text_copy(kube_text(object, "status.updateRevision", NULL));
        return 0;
    }
    rollout->revision_label = "pod-template-hash";
    rollout->object_revision = kube_annotation(object, "deployment.kubernetes.io/revision");
    if (!rollout->object_revision)
        return 0;
    return kube_list(rollout->client, &replica_sets, rollout->namespace_name, &options, on_replica_set, rollout,
                     rollout->deadline, NULL, err);
}

static int on_listed_pod(void *context, cJSON *pod, struct error *err)
{
    struct rollout *rollout = context;
    const cJSON *container = stuck_container(pod);

    (void)err;
    if (!rollout->trouble && container && !kube_is_deleting(pod) &&
        text_equal(kube_label(pod, rollout->revision_label), rollout->revision))
        rollout->trouble = describe_trouble(pod, container);
    return 0;
}

/* Fails when a Pod of the present revision is in trouble. */
static int check_pods(struct rollout *rollout, const cJSON *object, struct error *err)
{
    const struct kube_list_options options = {.label_selector = rollout->selector};
    uint64_t count = 0;

    if (read(rollout->wake_fd, &count, sizeof(count)) < 0)
        return 0; /* none was said to be */
    if (find_revision(rollout, object, err) < 0)
        return -1;
    if (!rollout->revision)
        return 0;
    if (kube_list(rollout->client, &kube_pods, rollout->namespace_name, &options, on_listed_pod, rollout,
                  rollout->deadline, NULL, err) < 0)
        return -1;
    if (!rollout->trouble)
        return 0;
    return error_set(err, &general_error_domain, GENERAL_FAILED, "starting Pods", kube_name(object), "%s",
                     rollout->trouble);
}

static int follow_pods(struct rollout *rollout, const cJSON *object, struct error *err)
{
    if (rollout->pods)
        return 0;
    rollout->selector = selector_of(object);
    const struct kube_list_options options = {.label_selector = rollout->selector};
    const struct kube_watch_handler handler = {.event = on_pod, .context = rollout};
    return kube_watch_start(rollout->client, &kube_pods, rollout->namespace_name, &options, &handler, &rollout->pods,
                            err);
}

static bool is_complete(const struct rollout *rollout, const cJSON *object)
{
    long wanted = kube_number(object, "spec.replicas", 1);
    bool by_hand = rollout->resource == &kube_stateful_sets &&
                   strcmp(kube_text(object, "spec.updateStrategy.type", ""), "OnDelete") == 0;

    if (!by_hand && kube_number(object, "status.updatedReplicas", 0) < wanted)
        return false;
    return kube_number(object, "status.replicas", 0) == wanted &&
           kube_number(object, "status.readyReplicas", 0) >= wanted;
}

static int has_rolled_out(void *context, const cJSON *object, struct error *err)
{
    struct rollout *rollout = context;

    if (!object && rollout->was_seen)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "rolling out", NULL, "it was deleted meanwhile");
    rollout->was_seen = object != NULL;
    if (!object || kube_number(object, "status.observedGeneration", 0) < kube_generation(object))
        return 0;
    if (is_complete(rollout, object))
        return 1;
    if (follow_pods(rollout, object, err) < 0)
        return -1;
    return check_pods(rollout, object, err);
}

int kube_wait_rollout(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                      const char *name, struct deadline deadline, struct error *err)
{
    cleanup_close int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct rollout rollout = {
        .client = client,
        .resource = resource,
        .namespace_name = namespace_name,
        .deadline = deadline,
        .wake_fd = wake_fd,
    };

    if (wake_fd < 0)
        return error_set_errno(err, errno, "waiting for rollout", name);
    int result =
        kube_wait_woken(client, resource, namespace_name, name, has_rolled_out, &rollout, wake_fd, deadline, err);
    kube_watch_free(rollout.pods);
    free(rollout.selector);
    free(rollout.revision);
    free(rollout.trouble);
    return result;
}
