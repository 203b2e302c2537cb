/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_transport.h"

enum {
    PAGE_SIZE = 500,
    RESTARTS_MAX = 3,
};

struct listing {
    struct kube_client *client;
    const struct kube_resource *resource;
    const char *namespace_name;
    struct kube_list_options options;
    kube_visit visit;
    void *context;
    int stop_fd;
    struct deadline deadline;
};

/* What answers in the server's stead must not look like an empty list: everything would seem to have been deleted. */
static bool is_list(const cJSON *page)
{
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(page, "items");
    const cJSON *item = NULL;

    if (!cJSON_IsArray(items) && !cJSON_IsNull(items)) /* null: Go's empty slice */
        return false;
    cJSON_ArrayForEach(item, items) {
        if (!cJSON_IsObject(item))
            return false;
    }
    return *kube_resource_version(page) != '\0';
}

/* A page, from the one that `token` (NULL: none) leads to. */
static int get_page(const struct listing *listing, const char *token, cJSON **ret, struct error *err)
{
    const struct kube_list_options *options = &listing->options;
    cleanup_free char *operation = text_format("listing %s", listing->resource->plural);
    cleanup_free char *base = kube_path(listing->resource, listing->namespace_name, NULL, NULL);
    cleanup_text_buffer struct text_buffer path = {0};
    cleanup_error struct error reason = ERROR_INIT;
    __attribute__((cleanup(kube_answer_clear_at_exit))) struct kube_answer answer = {0};

    text_buffer_format(&path, "%s?limit=%d", base, options->page_size > 0 ? options->page_size : PAGE_SIZE);
    kube_query_add(&path, "labelSelector", options->label_selector);
    kube_query_add(&path, "fieldSelector", options->field_selector);
    kube_query_add(&path, "continue", token);
    const struct kube_call call = {
        .operation = operation,
        .subject = listing->namespace_name,
        .method = "GET",
        .path = text_buffer_text(&path),
        .stop_fd = listing->stop_fd,
    };
    if (kube_exchange(listing->client, &call, listing->deadline, &answer, err) < 0)
        return -1;
    if (answer.stopped)
        return error_set(err, &kube_error_domain, KUBE_UNAVAILABLE, operation, listing->namespace_name, "stopped");
    if (json_parse_tolerant(answer.body, answer.size, ret, &reason) < 0)
        return error_set(err, &kube_error_domain, KUBE_UNAVAILABLE, operation, listing->namespace_name,
                         "the answer is no JSON: %s", error_root_detail(&reason));
    if (!is_list(*ret))
        return error_set(err, &kube_error_domain, KUBE_UNAVAILABLE, operation, listing->namespace_name,
                         "the answer is no list");
    return 0;
}

static int visit_page(const struct listing *listing, cJSON *page, struct error *err)
{
    cJSON *items = cJSON_GetObjectItemCaseSensitive(page, "items");

    while (items && items->child) {
        CLEANUP(cJSON_Delete) cJSON *item = cJSON_DetachItemViaPointer(items, items->child);
        if (!cJSON_HasObjectItem(item, "kind")) { /* items of the built-in kinds have neither */
            json_add_text(item, "apiVersion", listing->resource->api_version);
            json_add_text(item, "kind", listing->resource->kind);
        }
        if (listing->visit(listing->context, item, err) < 0)
            return -1;
    }
    return 0;
}

/* All pages. *paged tells whether one was visited before the server failed to give the next. */
static int list_once(const struct listing *listing, bool *paged, char **resource_version, struct error *err)
{
    cleanup_free char *token = NULL;
    cleanup_free char *version = NULL;

    *paged = false;
    for (;;) {
        CLEANUP(cJSON_Delete) cJSON *page = NULL;
        if (get_page(listing, token, &page, err) < 0)
            return -1;
        if (visit_page(listing, page, err) < 0) {
            *paged = false;
            return -1;
        }
        free(version);
        free(token);
        version = text_copy(kube_resource_version(page));
        token = text_copy(kube_text(page, "metadata.continue", ""));
        if (!*token)
            break;
        *paged = true;
    }
    if (resource_version)
        *resource_version = TAKE_PTR(version);
    return 0;
}

int kube_list_restartable(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                          const struct kube_list_options *options, kube_visit visit, void (*restarted)(void *context),
                          void *context, int stop_fd, struct deadline deadline, char **resource_version,
                          struct error *err)
{
    const struct listing listing = {
        .client = client,
        .resource = resource,
        .namespace_name = namespace_name,
        .options = options ? *options : (struct kube_list_options){0},
        .visit = visit,
        .context = context,
        .stop_fd = stop_fd,
        .deadline = deadline,
    };

    for (int restarts = 0;; restarts++) {
        bool paged = false;
        if (list_once(&listing, &paged, resource_version, err) == 0)
            return 0;
        if (!paged || restarts == RESTARTS_MAX || !error_is(err, &kube_error_domain, KUBE_GONE))
            return -1;
        error_clear(err);
        if (restarted)
            restarted(context);
    }
}

int kube_list(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
              const struct kube_list_options *options, kube_visit visit, void *context, struct deadline deadline,
              char **resource_version, struct error *err)
{
    return kube_list_restartable(client, resource, namespace_name, options, visit, NULL, context, 0, deadline,
                                 resource_version, err);
}
