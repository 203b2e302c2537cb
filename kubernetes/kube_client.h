/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client of the Kubernetes API over libcurl: objects as cJSON, typed errors, connections kept. One client belongs to
 * any number of threads: each exchange takes a connection out of its pool.
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
 */

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/json.h"
#include "kubernetes/kube_config.h"
#include "kubernetes/kube_error.h"

struct kube_client;
/** `config` need not outlive the call. Nothing is connected yet. Errors: KUBE_CONFIG. */
MUST_CHECK int kube_client_new(const struct kube_config *config, struct kube_client **ret, struct error *err);
void kube_client_free(struct kube_client *client);
DEFINE_CLEANUP(struct kube_client *, kube_client_free)
/** The namespace of the configuration; borrowed. */
const char *kube_client_namespace(const struct kube_client *client);
/** The URL of the server; borrowed. */
const char *kube_client_server(const struct kube_client *client);
/** End every exchange, wait and watch that runs, and refuse new ones (KUBE_UNAVAILABLE), for good. Thread-safe. A
 *  credential plugin that runs is waited for. */
void kube_client_cancel(struct kube_client *client);

/** A kind of object. Static: `static const struct kube_resource pods = {"v1", "Pod", "pods", true};` */
struct kube_resource {
    const char *api_version; /**< "v1", "apps/v1", "fleet.harmony.io/v1alpha1" */
    const char *kind;        /**< "Pod" */
    const char *plural;      /**< "pods" */
    bool namespaced;
};
/** The kinds this project touches. */
extern const struct kube_resource kube_namespaces, kube_nodes, kube_pods, kube_services, kube_config_maps, kube_secrets,
    kube_service_accounts, kube_events, kube_deployments, kube_stateful_sets, kube_roles, kube_role_bindings,
    kube_cluster_roles, kube_cluster_role_bindings, kube_leases, kube_custom_resource_definitions,
    kube_persistent_volume_claims;
/** By apiVersion and kind of an object; NULL when it is none of the above. */
const struct kube_resource *kube_resource_of(const cJSON *object);

/** One object. `namespace_name` is ignored for kinds that have none; NULL: that of the configuration. Errors of all: the domain kube. *ret is freed by
 *  cJSON_Delete and may be NULL where the answer does not matter. */
MUST_CHECK int kube_get(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                        const char *name, struct deadline deadline, cJSON **ret, struct error *err);
/** Namespace and name are in the object's metadata. Errors: KUBE_EXISTS. */
MUST_CHECK int kube_create(struct kube_client *client, const struct kube_resource *resource, const cJSON *object,
                           struct deadline deadline, cJSON **ret, struct error *err);

struct kube_apply_options {
    const char *field_manager; /**< "harmony-fleet-deploy" */
    bool force;                /**< take fields that another manager owns */
    bool dry_run;              /**< the server says what would come of it, and changes nothing */
};
/** Server-side apply. *ret is the object as it is now. Errors: KUBE_CONFLICT (another manager owns a field). */
MUST_CHECK int kube_apply(struct kube_client *client, const struct kube_resource *resource, const cJSON *object,
                          const struct kube_apply_options *options, struct deadline deadline, cJSON **ret,
                          struct error *err);
/** JSON merge patch (RFC 7396); `subresource` is NULL or "status". With metadata.resourceVersion in the patch it
 *  fails with KUBE_CONFLICT when the object is another one by now. */
MUST_CHECK int kube_merge_patch(struct kube_client *client, const struct kube_resource *resource,
                                const char *namespace_name, const char *name, const char *subresource,
                                const cJSON *patch, struct deadline deadline, cJSON **ret, struct error *err);
/** Replace (PUT); resourceVersion in the object makes it conditional. `subresource` is NULL or "status". */
MUST_CHECK int kube_replace(struct kube_client *client, const struct kube_resource *resource, const char *subresource,
                            const cJSON *object, struct deadline deadline, cJSON **ret, struct error *err);

enum kube_propagation { KUBE_BACKGROUND, KUBE_FOREGROUND, KUBE_ORPHAN };
/** Delete; a missing one is fine. It returns at once. @param grace_s  seconds for its Pods; -1: as they say */
MUST_CHECK int kube_delete(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                           const char *name, enum kube_propagation propagation, int grace_s, struct deadline deadline,
                           struct error *err);

struct kube_list_options {
    const char *label_selector; /**< NULL: all */
    const char *field_selector; /**< NULL: all */
    int page_size;              /**< 0: 500 */
};
/** Called for each; the item is borrowed and has its apiVersion and kind. Returns 0 to go on, -1 with *err set. */
typedef int (*kube_visit)(void *context, cJSON *item, struct error *err);
/** Every object of a kind, page by page (a continue token that expired: from the start, then some are visited twice).
 *  `namespace_name` NULL: of all namespaces.
 *  @param resource_version  of the list, for a watch; the caller frees; may be NULL */
MUST_CHECK int kube_list(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                         const struct kube_list_options *options, kube_visit visit, void *context,
                         struct deadline deadline, char **resource_version, struct error *err);

/** The last `tail_lines` lines (0: all) of a container's log (NULL: the only one), of its former run if `previous`. */
MUST_CHECK int kube_pod_log(struct kube_client *client, const char *namespace_name, const char *pod,
                            const char *container, int tail_lines, bool previous, struct deadline deadline, char **ret,
                            struct error *err);

/** GET of any path ("/version", "/readyz"); the body as it is. Caller frees. */
MUST_CHECK int kube_get_raw(struct kube_client *client, const char *path, struct deadline deadline, char **ret,
                            struct error *err);
