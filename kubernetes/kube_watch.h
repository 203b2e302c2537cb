/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Following all objects of a kind: list, then watch, with bookmarks, resuming after a break, listing again after 410,
 * with back-off while the server is away.
 */

#include "kubernetes/kube_client.h"

enum kube_event { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED };

struct kube_watch_handler {
    /** An object came, changed, or went; it is borrowed and has its apiVersion and kind. After a new list, what did not
     *  change is not told, and what is missing is told as deleted: then `object` is but apiVersion, kind and
     *  metadata.name, .namespace and .uid (a watch keeps no objects). One that was deleted and made anew between two
     *  lists is told as modified: its uid is another. Runs in the watch's thread. */
    void (*event)(void *context, enum kube_event event, const cJSON *object);
    /** The first list has been told whole; once. May be NULL. */
    void (*synced)(void *context);
    /** It broke off and will be tried again, from 100 ms to 5 s later; for logging. Also when the kind is not there
     *  (KUBE_NOT_FOUND) or must not be seen (KUBE_FORBIDDEN). May be NULL. */
    void (*trouble)(void *context, const struct error *err);
    void *context;
};

struct kube_watch;
/**
 * Begin, in a thread of its own. `client` and `resource` must outlive it. `namespace_name` NULL: all namespaces.
 * `options` may be NULL and need not outlive the call.
 */
MUST_CHECK int kube_watch_start(struct kube_client *client, const struct kube_resource *resource,
                                const char *namespace_name, const struct kube_list_options *options,
                                const struct kube_watch_handler *handler, struct kube_watch **ret, struct error *err);
/** End it: no event after this returns (within 200 ms). NULL is fine. Not from its own thread. */
void kube_watch_free(struct kube_watch *watch);
DEFINE_CLEANUP(struct kube_watch *, kube_watch_free)

/**
 * Wait until `satisfied` says so of an object (NULL: there is none), by a watch of just that one. It returns 1: yes,
 * 0: not yet, -1: never (*err set). While the server cannot be reached it is tried again.
 * Errors: GENERAL_TIMEOUT with generation, phase, replicas and conditions of the last one seen; what `satisfied` set;
 * KUBE_FORBIDDEN and whatever else trying again does not mend.
 */
typedef int (*kube_condition)(void *context, const cJSON *object, struct error *err);
MUST_CHECK int kube_wait(struct kube_client *client, const struct kube_resource *resource, const char *namespace_name,
                         const char *name, kube_condition satisfied, void *context, struct deadline deadline,
                         struct error *err);
/** A condition of status.conditions is "True"; its message is what the time-out tells. */
MUST_CHECK int kube_wait_condition(struct kube_client *client, const struct kube_resource *resource,
                                   const char *namespace_name, const char *name, const char *condition,
                                   struct deadline deadline, struct error *err);
/** There is none any more. */
MUST_CHECK int kube_wait_gone(struct kube_client *client, const struct kube_resource *resource,
                              const char *namespace_name, const char *name, struct deadline deadline,
                              struct error *err);
/** A Deployment or StatefulSet has observed its generation, and all its replicas are updated and ready. Fails early,
 *  with the reason, when a Pod of it cannot start: ErrImagePull, CrashLoopBackOff, CreateContainerConfigError. */
MUST_CHECK int kube_wait_rollout(struct kube_client *client, const struct kube_resource *resource,
                                 const char *namespace_name, const char *name, struct deadline deadline,
                                 struct error *err);
