/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the scenarios in a cluster share: custom resources as a user applies them, and what is waited for then, in the
 * API server and in the buckets.
 */

#include "fixtures/kv_admin.h"
#include "fixtures/stack.h"
#include "kubernetes/kube_object.h"
#include "kubernetes/kube_watch.h"

#define POD_NEEDS NEEDS(CAPABILITY_CLUSTER, CAPABILITY_NATS_SERVER)

/** How long anything may take that is waited for, in ms: generous, since all of it is sanitized and shares two cores. */
#define POD_STEP_MS 30000

/** A label no other test's devices have, and by which they are targeted. */
#define POD_LABEL "test.harmony.io/scenario"

/** What any device can be asked to run; devices without podman refuse it. */
#define POD_SCORE                                                                                                      \
    "{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":\"localhost/hello-web:v1\"}]}}"

extern char pod_label[]; /* POD_LABEL, as a key of struct device_label */
extern const struct kube_resource fleet_deployments, fleet_devices;

/** Apply a Deployment whose selector is POD_LABEL=`label`. */
MUST_CHECK int pod_apply(struct stack *stack, const char *name, const char *label, const char *score,
                         struct error *err);
/** The same with any spec, as JSON text. */
MUST_CHECK int pod_apply_spec(struct stack *stack, const char *name, const char *spec, struct error *err);
/** Delete it, and wait until it is gone. */
MUST_CHECK int pod_remove(struct stack *stack, const char *name, struct error *err);

/** Wait until the desired-state key is there with a value that contains `text` (NULL: any). *ret may be NULL. */
MUST_CHECK int pod_wait_key(struct stack *stack, const char *device, const char *deployment, const char *text,
                            struct kv_value *ret, struct error *err);
MUST_CHECK int pod_wait_no_key(struct stack *stack, const char *device, const char *deployment, struct error *err);
/** The key is there or not, now. */
MUST_CHECK int pod_has_key(struct stack *stack, const char *device, const char *deployment, bool *ret,
                           struct error *err);

struct aggregate {
    long matched, pending, succeeded, failed;
};
/** Wait until status.aggregate is this about the generation there is now. */
MUST_CHECK int pod_wait_aggregate(struct stack *stack, const char *name, struct aggregate expected, struct error *err);
/** Wait until a condition has this status ("True", "False"). *message may be NULL; the caller frees. */
MUST_CHECK int pod_wait_condition(struct stack *stack, const char *name, const char *type, const char *status,
                                  char **message, struct error *err);
/** Wait until the Device object has this status.phase. *ret may be NULL; freed by cJSON_Delete. */
MUST_CHECK int pod_wait_device(struct stack *stack, const char *device, const char *phase, cJSON **ret,
                               struct error *err);
/** An agent in a Pod with the one label POD_LABEL=`label`. *ret is borrowed. */
MUST_CHECK int pod_add_device(struct stack *stack, const char *name, const char *label, const char **ret,
                              struct error *err);
