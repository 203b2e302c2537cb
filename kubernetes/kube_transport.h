/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the client's own sources share: exchanges with credentials and typed errors, and the paths of objects.
 */

#include "kubernetes/kube_client.h"
#include "kubernetes/kube_connection.h"

/**
 * One exchange over a connection of the pool. When the server does not know us and there may be newer credentials, it is
 * tried once more; when it says after how many seconds to try again (429, 5xx), then, until the deadline. Errors: any of the domain kube, by status and Status object.
 */
MUST_CHECK int kube_exchange(struct kube_client *client, const struct kube_call *call, struct deadline deadline,
                             struct kube_answer *ret, struct error *err);
/** The eventfd that kube_client_cancel makes readable, for ever; borrowed. */
int kube_client_cancel_fd(const struct kube_client *client);

/** `namespace_name`, or that of the configuration where it is NULL or ""; borrowed. */
const char *kube_namespace_or_default(const struct kube_client *client, const char *namespace_name);

/** "/apis/apps/v1/namespaces/default/deployments/web/status": any of the last three may be NULL (all namespaces, all
 *  objects), the namespace "" too. Never NULL; caller frees. */
char *kube_path(const struct kube_resource *resource, const char *namespace_name, const char *name,
                const char *subresource);
/** "default/web", "web", or the plural, for errors. Never NULL; caller frees. */
char *kube_subject(const struct kube_resource *resource, const char *namespace_name, const char *name);
/** Append "&key=value" ("?key=value" when it is the first), escaped; nothing for an absent value. */
void kube_query_add(struct text_buffer *path, const char *key, const char *value);

/** kube_list that tells when it has to begin again (then what was visited before may be gone). `restarted` may be NULL. */
MUST_CHECK int kube_list_restartable(struct kube_client *client, const struct kube_resource *resource,
                                     const char *namespace_name, const struct kube_list_options *options,
                                     kube_visit visit, void (*restarted)(void *context), void *context, int stop_fd,
                                     struct deadline deadline, char **resource_version, struct error *err);
