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

/** JSON as it is, as a string literal for kube_json(): names and strings need no escapes. */
#define JSON_TEXT(...) #__VA_ARGS__

#define POD_USER 65532 /* whom programs in our images run as; their group, too */

/** The labels of everything a score deploys; `name` is its component: "nats". */
#define KUBERNETES_LABEL_NAME       "app.kubernetes.io/name"
#define KUBERNETES_LABEL_PART_OF    "app.kubernetes.io/part-of"
#define KUBERNETES_LABEL_MANAGED_BY "app.kubernetes.io/managed-by"

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

/** Put an ownerReference to the namespace into a cluster-scoped object: it goes when the namespace does. */
void kubernetes_own_by_namespace(const struct kubernetes_apply *apply, cJSON *object);
/** Make every container of a Pod's specification what it should be: not root's, nothing writable but volumes, no
 *  capabilities; and the Pod give its files to the group that they run in. */
void kubernetes_harden(cJSON *pod_spec);
/** A Secret of these files: name and text in turn, NULL-terminated. Freed by cJSON_Delete. */
cJSON *kubernetes_secret(const char *namespace_name, const char *name, const char *const *files);
/** The text as JSON, in quotes: for kube_json's %s. Never NULL; caller frees. */
char *kubernetes_quote(const char *text);
/** A device id or other token as part of a name of an object: itself where that is allowed, else lower-cased, other
 *  characters as '-', with a hash of the original. Never NULL; caller frees. */
char *kubernetes_name(const char *token);
/** May it be the value of a label? */
bool kubernetes_is_label_value(const char *text);

/** A reference of an image. Errors: DEPLOY_INVALID_SCORE. */
MUST_CHECK int kubernetes_check_image(const char *score, const char *image, struct error *err);
/** The Pod is able to start, or has. Errors: GENERAL_FAILED with the Pod's name, the reason, and the end of its log. */
MUST_CHECK int kubernetes_check_pod(const struct kubernetes_apply *apply, const cJSON *pod, struct error *err);
/** None of the Pods with this label of ours (`component`) is unable to start. Errors: as
 *  kubernetes_check_pod. */
MUST_CHECK int kubernetes_check_pods(const struct kubernetes_apply *apply, const char *component, struct error *err);
/** Make the set *err the cause of DEPLOY_SMOKE_CHECK_FAILED. Returns -1. */
int kubernetes_smoke_check_failed(struct error *err, const char *what);
