/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One object, one exchange.
 */

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_transport.h"

/* One exchange about an object. */
struct request {
    const char *verb; /* "getting" */
    const char *method;
    const char *content_type;
    const struct kube_resource *resource;
    const char *namespace_name; /* NULL: that of the configuration */
    const char *name;           /* what it is about */
    bool is_collection;         /* the path is that of all objects of the kind: they are made there */
    const char *subresource;
    const char *query; /* "?…", escaped; NULL: none */
    const cJSON *body;
};

/* "." and ".." as a part of a path lead to another object. */
static bool leads_elsewhere(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int check_names(const char *operation, const char *subject, const char *namespace_name, const char *name,
                       struct error *err)
{
    if (!name || !*name)
        return error_set(err, &kube_error_domain, KUBE_INVALID, operation, NULL, "metadata.name is missing");
    if (leads_elsewhere(name) || leads_elsewhere(namespace_name))
        return error_set(err, &kube_error_domain, KUBE_INVALID, operation, subject, "is no name");
    return 0;
}

/* The answer's object into *ret, unless that is NULL. Not even then anything else will do: what is between us and the
 * server may have answered, and nothing was done. */
static int take_object(const struct kube_call *call, const struct kube_answer *answer, cJSON **ret, struct error *err)
{
    cleanup_error struct error reason = ERROR_INIT;

    if (!ret) {
        if (answer->body[strspn(answer->body, " \t\r\n")] == '{')
            return 0;
        return error_set(err, &kube_error_domain, KUBE_UNAVAILABLE, call->operation, call->subject,
                         "the answer is no JSON object");
    }
    if (json_parse_tolerant(answer->body, answer->size, ret, &reason) == 0)
        return 0;
    return error_set(err, &kube_error_domain, KUBE_UNAVAILABLE, call->operation, call->subject,
                     "the answer is no JSON: %s", error_root_detail(&reason));
}

static int run(struct kube_client *client, const struct request *request, struct deadline deadline, cJSON **ret,
               struct error *err)
{
    const struct kube_resource *resource = request->resource;
    const char *namespace_name = kube_namespace_or_default(client, request->namespace_name);
    cleanup_free char *operation = text_format("%s %s", request->verb, resource->kind);
    cleanup_free char *subject = kube_subject(resource, namespace_name, request->name);

    if (check_names(operation, subject, namespace_name, request->name, err) < 0)
        return -1;
    cleanup_free char *path =
        kube_path(resource, namespace_name, request->is_collection ? NULL : request->name, request->subresource);
    cleanup_free char *path_query = text_format("%s%s", path, request->query ? request->query : "");
    cleanup_free char *body = request->body ? json_print(request->body) : NULL;
    const struct kube_call call = {
        .operation = operation,
        .subject = subject,
        .method = request->method,
        .path = path_query,
        .body = body,
        .content_type = request->content_type,
    };
    __attribute__((cleanup(kube_answer_clear_at_exit))) struct kube_answer answer = {0};
    if (kube_exchange(client, &call, deadline, &answer, err) < 0)
        return -1;
    return take_object(&call, &answer, ret, err);
}

int kube_get(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
             const char *name, struct deadline deadline, cJSON **ret, struct error *err)
{
    const struct request request = {
        .verb = "getting",
        .method = "GET",
        .resource = resource,
        .namespace_name = namespace_name,
        .name = name,
    };

    return run(client, &request, deadline, ret, err);
}

int kube_create(struct kube_client *client, const struct kube_resource *resource, const cJSON *object,
                struct deadline deadline, cJSON **ret, struct error *err)
{
    const struct request request = {
        .verb = "creating",
        .method = "POST",
        .resource = resource,
        .namespace_name = kube_namespace(object),
        .name = kube_name(object),
        .is_collection = true,
        .body = object,
    };

    return run(client, &request, deadline, ret, err);
}

int kube_apply(struct kube_client *client, const struct kube_resource *resource, const cJSON *object,
               const struct kube_apply_options *options, struct deadline deadline, cJSON **ret, struct error *err)
{
    cleanup_text_buffer struct text_buffer query = {0};

    kube_query_add(&query, "fieldManager", options->field_manager);
    kube_query_add(&query, "force", options->force ? "true" : "false");
    kube_query_add(&query, "dryRun", options->dry_run ? "All" : NULL);
    const struct request request = {
        .verb = "applying",
        .method = "PATCH",
        .content_type = "application/apply-patch+yaml", /* JSON is YAML */
        .resource = resource,
        .namespace_name = kube_namespace(object),
        .name = kube_name(object),
        .query = text_buffer_text(&query),
        .body = object,
    };
    return run(client, &request, deadline, ret, err);
}

int kube_merge_patch(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                     const char *name, const char *subresource, const cJSON *patch, struct deadline deadline,
                     cJSON **ret, struct error *err)
{
    const struct request request = {
        .verb = subresource ? "patching status of" : "patching",
        .method = "PATCH",
        .content_type = "application/merge-patch+json",
        .resource = resource,
        .namespace_name = namespace_name,
        .name = name,
        .subresource = subresource,
        .body = patch,
    };

    return run(client, &request, deadline, ret, err);
}

int kube_replace(struct kube_client *client, const struct kube_resource *resource, const char *subresource,
                 const cJSON *object, struct deadline deadline, cJSON **ret, struct error *err)
{
    const struct request request = {
        .verb = subresource ? "replacing status of" : "replacing",
        .method = "PUT",
        .resource = resource,
        .namespace_name = kube_namespace(object),
        .name = kube_name(object),
        .subresource = subresource,
        .body = object,
    };

    return run(client, &request, deadline, ret, err);
}

int kube_delete(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                const char *name, enum kube_propagation propagation, int grace_s, struct deadline deadline,
                struct error *err)
{
    static const char *const policies[] = {
        [KUBE_BACKGROUND] = "Background",
        [KUBE_FOREGROUND] = "Foreground",
        [KUBE_ORPHAN] = "Orphan",
    };
    CLEANUP(cJSON_Delete)
    cJSON *options = kube_json("{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"%s\"}",
                               policies[propagation]);
    const struct request request = {
        .verb = "deleting",
        .method = "DELETE",
        .resource = resource,
        .namespace_name = namespace_name,
        .name = name,
        .body = options,
    };

    if (grace_s >= 0)
        json_add_integer(options, "gracePeriodSeconds", grace_s);
    if (run(client, &request, deadline, NULL, err) == 0)
        return 0;
    if (!error_is(err, &kube_error_domain, KUBE_NOT_FOUND))
        return -1;
    error_clear(err);
    return 0;
}

int kube_get_raw(struct kube_client *client, const char *path, struct deadline deadline, char **ret, struct error *err)
{
    const struct kube_call call = {.operation = "getting", .subject = path, .method = "GET", .path = path};
    struct kube_answer answer = {0};

    if (kube_exchange(client, &call, deadline, &answer, err) < 0)
        return -1;
    *ret = answer.body;
    return 0;
}

int kube_pod_log(struct kube_client *client, const char *namespace_name, const char *pod, const char *container,
                 int tail_lines, bool previous, struct deadline deadline, char **ret, struct error *err)
{
    namespace_name = kube_namespace_or_default(client, namespace_name);
    cleanup_free char *subject = kube_subject(&kube_pods, namespace_name, pod);
    cleanup_free char *base = kube_path(&kube_pods, namespace_name, pod, "log");
    cleanup_free char *tail = tail_lines > 0 ? text_format("%d", tail_lines) : NULL;
    cleanup_text_buffer struct text_buffer path = {0};
    struct kube_answer answer = {0};

    if (check_names("reading log of Pod", subject, namespace_name, pod, err) < 0)
        return -1;
    text_buffer_add(&path, base);
    kube_query_add(&path, "container", container);
    kube_query_add(&path, "tailLines", tail);
    kube_query_add(&path, "previous", previous ? "true" : NULL);
    const struct kube_call call = {
        .operation = "reading log of Pod",
        .subject = subject,
        .method = "GET",
        .path = text_buffer_text(&path),
    };
    if (kube_exchange(client, &call, deadline, &answer, err) < 0)
        return -1;
    *ret = answer.body;
    return 0;
}
