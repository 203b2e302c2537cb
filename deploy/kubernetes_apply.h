/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the scores share on Kubernetes: objects are applied by the server (field manager "harmony-fleet-deploy"), and
 * what that changed, or would change in a dry run, is told to the topology's observer.
 */

#include <cjson/cJSON.h>

#include "deploy/kubernetes_target.h"
#include "deploy/score_steps.h"
#include "kubernetes/kube_object.h"

/** One interpretation on Kubernetes. */
struct kubernetes_apply {
    const char *score; /**< its name, in messages */
    const struct topology *topology;
    const struct kubernetes_target *target;
    struct deadline deadline;
    char *namespace_uid; /**< owned; NULL: it is not there yet (dry run) */
    bool changed;        /**< something was since this was last set to false */
};

/**
 * Begin: the namespace is looked up, and made where the target says so.
 * Errors: DEPLOY_NO_CAPABILITY (the topology has no Kubernetes), DEPLOY_INVALID_SCORE (the namespace's name), kube.
 */
MUST_CHECK int kubernetes_apply_begin(const char *score, const struct topology *topology, struct deadline deadline,
                                      struct kubernetes_apply *ret, struct error *err);
void kubernetes_apply_clear(struct kubernetes_apply *apply);
static inline void kubernetes_apply_clear_at_exit(struct kubernetes_apply *apply)
{
    kubernetes_apply_clear(apply);
}
#define cleanup_kubernetes_apply __attribute__((cleanup(kubernetes_apply_clear_at_exit)))

/**
 * Apply an object, which this takes and frees. Fields that others set stay theirs, unless ours say otherwise.
 * @param component  becomes the label app.kubernetes.io/name
 * @param created    it was not there before; may be NULL
 * @param ret        as it is now, or would be; freed by cJSON_Delete; may be NULL
 * Errors: DEPLOY_PORT_TAKEN for a Service whose node port another one has; kube.
 */
MUST_CHECK int kubernetes_apply_object(struct kubernetes_apply *apply, const char *component, cJSON *object,
                                       bool *created, cJSON **ret, struct error *err);

/** Remove an object of the namespace that an earlier deployment made and this one does without; none is fine. */
MUST_CHECK int kubernetes_remove_object(struct kubernetes_apply *apply, const struct kube_resource *resource,
                                        const char *name, struct error *err);

/** May it be the name of a namespace: a label as RFC 1123 has it? */
bool kubernetes_is_namespace_name(const char *text);
/** Put an ownerReference to the namespace into a cluster-scoped object: it goes when the namespace does. */
void kubernetes_own_by_namespace(const struct kubernetes_apply *apply, cJSON *object);
