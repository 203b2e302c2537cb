/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which Kubernetes cluster the tests use: what a caller asks for, else an environment variable, else what can be had.
 */

#include <stdbool.h>

#include "base/error.h"

#define CLUSTER_CHOICE        "FLEET_E2E_CLUSTER"      /* kubeconfig, k3d, native; default: the first that can be had */
#define CLUSTER_NAME_VARIABLE "FLEET_E2E_CLUSTER_NAME" /* k3d's cluster, or the native one; default CLUSTER_NAME */
#define CLUSTER_REGISTRY      "FLEET_E2E_REGISTRY"     /* where a cluster by KUBECONFIG gets its images from */
#define CLUSTER_REBUILD       "FLEET_E2E_FORCE_REBUILD" /* 1: images are built and imported though they are there */

#define CLUSTER_NAME     "fleet-e2e"
#define CLUSTER_NAME_MAX 32 /* k3d's limit: a container's name is longer, and may not have more than a host name's 63 */

/** What a caller asks for; what is NULL or false is what the environment says. */
struct cluster_options {
    const char *kind; /**< "kubeconfig", "k3d" or "native" */
    const char
        *kubeconfig;      /**< a file; without `kind` it chooses the kind "kubeconfig", whatever the environment says */
    const char *registry; /**< for the kind "kubeconfig": "host:5000/fleet", "http://" before it for one without TLS */
    const char *name;     /**< of k3d's cluster, or the native one: "fleet-e2e" or "fleet-e2e-…" */
    bool image_rebuild;   /**< images are built and brought to the cluster though they are there */
};

/** Strings are constants, the caller's or the environment's. */
struct cluster_environment {
    const char *kind;       /**< "kubeconfig", "k3d" or "native" */
    const char *kubeconfig; /**< a list of files, as in $KUBECONFIG; NULL: none */
    const char *registry;   /**< NULL: none */
    const char *name;       /**< never NULL */
    bool image_rebuild;
};

/**
 * The kind that is asked for, else the one FLEET_E2E_CLUSTER names, else "kubeconfig" where KUBECONFIG is set, "k3d" where
 * it is in PATH, else "native". Whether that one works is not asked. scripts/pod.sh chooses alike.
 * @param options  NULL: nothing is asked for
 * Errors: GENERAL_INVALID with the variable or option as subject, naming its value and what it may be.
 */
MUST_CHECK int cluster_environment_read(const struct cluster_options *options, struct cluster_environment *ret,
                                        struct error *err);
