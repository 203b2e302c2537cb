/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which Kubernetes cluster the tests use, chosen by an environment variable, else by what can be had.
 */

#include "base/error.h"

#define CLUSTER_CHOICE   "FLEET_E2E_CLUSTER"  /* kubeconfig, k3d, native; default: the first of them that can be had */
#define CLUSTER_REGISTRY "FLEET_E2E_REGISTRY" /* where a cluster by KUBECONFIG gets its images from */

/** Strings are constants or the environment's. */
struct cluster_environment {
    const char *kind;       /**< "kubeconfig", "k3d" or "native" */
    const char *kubeconfig; /**< $KUBECONFIG; NULL: not set */
    const char *registry;   /**< $FLEET_E2E_REGISTRY; NULL: not set */
};

/**
 * The kind FLEET_E2E_CLUSTER names, else "kubeconfig" where KUBECONFIG is set, "k3d" where it is in PATH, else "native".
 * Whether that one works is not asked. scripts/pod.sh chooses alike.
 * Errors: GENERAL_INVALID with the variable as subject, naming its value and what it may be.
 */
MUST_CHECK int cluster_environment_read(struct cluster_environment *ret, struct error *err);
