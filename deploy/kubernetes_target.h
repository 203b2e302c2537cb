/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The capability "a Kubernetes API" of a topology.
 */

#include "kubernetes/kube_client.h"

struct kubernetes_target {
    struct kube_client *client; /**< borrowed */
    const char *namespace_name; /**< where everything goes; made by FleetServerScore's callers, or by score_namespace */
    const char *node_address;   /**< where NodePorts answer from here; NULL: they cannot be reached from here */
    bool create_namespace;      /**< make the namespace if it is missing */
    bool dry_run;               /**< change nothing; steps say what would change (the server's dry run) */
};
