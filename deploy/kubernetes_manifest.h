/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of manifests, and the checks of Pods, that scores have in common.
 */

#include "deploy/digest.h"
#include "deploy/kubernetes_apply.h"

/** JSON as it is, as a string literal for kube_json(): names and strings need no escapes. */
#define JSON_TEXT(...) #__VA_ARGS__

#define POD_USER 65532 /* whom programs in our images run as; their group, too */

/** The labels of everything a score deploys; `name` is its component: "nats". */
#define KUBERNETES_LABEL_NAME       "app.kubernetes.io/name"
#define KUBERNETES_LABEL_PART_OF    "app.kubernetes.io/part-of"
#define KUBERNETES_LABEL_MANAGED_BY "app.kubernetes.io/managed-by"

/**
 * The digest of what is secret, for an annotation that makes other Pods of another secret. Who may read Pods but no Secrets
 * must not be able to guess a password by it, so it covers the uid of the Secret, which only those know who may read it.
 * @param secret  as the server has it
 */
void kubernetes_secret_digest(const cJSON *secret, const char *text, char ret[DIGEST_SIZE]);
/** Make every container of a Pod's specification what it should be: not root's, nothing writable but volumes, no
 *  capabilities, the runtime's filter of system calls; and the Pod give its files to the group that they run in. It is
 *  what a namespace with Pod Security "restricted" asks for.
 *  Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
void kubernetes_harden(cJSON *pod_spec);
/** Have replicas with this label of ours (`component`) on nodes of their own, where there are as many. */
void kubernetes_spread(cJSON *pod_spec, const char *component);
/** A Secret of these files: name and text in turn, NULL-terminated. Freed by cJSON_Delete. */
cJSON *kubernetes_secret(const char *namespace_name, const char *name, const char *const *files);
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
/** Make the set *err the cause of DEPLOY_SMOKE_CHECK_FAILED, a time-out with the newest warning about `what`, the name of
 *  an object, or of what was made for it. Returns -1. */
int kubernetes_smoke_check_failed(struct error *err, const struct kubernetes_apply *apply, const char *what);
