/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to the table of resource kinds (resource.c): namespaces in a Kubernetes cluster that outlives the run.
 *
 * They have the name "<kubeconfig> <network namespace> <namespace>", the first two being absolute paths; the second is
 * "-" where the API server is reached from the machine's own network. For example
 * "/root/.cache/harmony-fleet/cluster/kubeconfig /run/netns/fleet-e2e e2e-1a2b3c4d".
 */

#include "harness/resource.h"

/** Only e2e-<8 hex>. See struct resource_type for all of these. */
int kube_namespace_check(const struct run_place *place, const char *name, struct error *err);
/**
 * Ask for its deletion; that is done once the API server has accepted it. A cluster that is gone (no kubeconfig, no
 * network namespace) has taken all along. Errors: system/EBUSY in the words of fleet-kubernetes-remove;
 * GENERAL_NOT_FOUND when that program cannot be found.
 */
int kube_namespace_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err);
void kube_namespace_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                             struct text_buffer *remove);
