/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Scores and topologies. A score is plain data with one interpret operation against a topology, a struct of
 * capabilities. Interpreting twice is a no-op and says so; input is validated before anything is touched; success
 * means the smoke check was answered.
 */

#include <stdbool.h>

#include "base/deadline.h"
#include "base/error.h"

struct linux_host;        /* deploy/linux_host.h */
struct hypervisor;        /* deploy/hypervisor.h */
struct kubernetes_target; /* deploy/kubernetes_target.h */

extern const struct error_domain deploy_error_domain;
enum deploy_error {
    DEPLOY_INVALID_SCORE = 1,  /**< the score's data is unusable; nothing was touched */
    DEPLOY_NO_CAPABILITY,      /**< the topology lacks what the score needs; the detail names it */
    DEPLOY_SMOKE_CHECK_FAILED, /**< deployed, but it does not answer; the cause says how it was asked */
    DEPLOY_PORT_TAKEN,         /**< the node port belongs to another Service of the cluster: try another */
};

/** Told of each step as it happens, so that a caller can show and time it. */
struct score_observer {
    void (*step_begin)(void *context, const char *step);
    void (*step_end)(void *context, const char *step, bool changed);
    /** An object of Kubernetes ("StatefulSet fleet/nats") was changed, or would be in a dry run. `changes`: a line for
     *  each field ("spec.replicas: 1 -> 3"), NULL-terminated; NULL: the object is new. May be NULL. */
    void (*object_changed)(void *context, const char *object, const char *const *changes);
    void *context;
};

struct topology {
    const char *name;                      /**< for messages: "this host", "fleet-e2e-vm-1a2b3c4d-0" */
    struct linux_host *linux_host;         /**< NULL: not a Linux host */
    struct hypervisor *hypervisor;         /**< NULL: no machines can be made */
    struct kubernetes_target *kubernetes;  /**< NULL: no Kubernetes API */
    const struct score_observer *observer; /**< may be NULL */
};

/** What interpreting did. */
struct score_outcome {
    bool changed; /**< false: everything was there already */
};
