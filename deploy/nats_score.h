/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * FleetNatsScore: NATS with JetStream for a fleet. The library has no default credentials: the caller supplies them.
 */

#include "deploy/score.h"

struct user_password {
    const char *user;
    const char *password;
};

struct fleet_nats_score {
    const char *server_program; /**< Linux host: absolute path of nats-server >= 2.10; same below */
    const char *directory;      /**< configuration and JetStream store */
    const char *listen_address; /**< NULL: 127.0.0.1 */
    int port;                   /**< 0: ask the system for a free one at the first interpret and keep it */

    int replicas;      /**< Kubernetes: 0: 1; or 3, a cluster whose streams are replicated by as many; same below */
    const char *image; /**< of nats-server */
    int node_port;     /**< of the Service; 0: the Service is reached inside the cluster only */
    int termination_grace_s; /**< 0: 10 */
    /** Size of the volume of each replica ("1Gi"): a PersistentVolumeClaim; NULL: emptyDir, which survives its
     *  containers but not its Pod. */
    const char *storage;
    const char *storage_class; /**< of that claim; NULL: the cluster's default class */
    const char *sync_interval; /**< how long what was written may lie unsynced ("always", "10s"); NULL: "10s" */

    struct user_password admin;  /**< may do everything */
    struct user_password device; /**< shared by the devices: publishes what agents publish, never desired-state */
};

struct fleet_nats_deployed {
    char *url;            /**< "nats://127.0.0.1:4222"; NULL: it cannot be reached from here; owned */
    char *in_cluster_url; /**< Kubernetes: for Pods of this cluster; else NULL; owned */
    int port;
    bool replaces; /**< Kubernetes: Pods of an earlier deployment give way to new ones */
    struct score_outcome outcome;
};
void fleet_nats_deployed_clear(struct fleet_nats_deployed *deployed);

/**
 * Deploy to a Kubernetes API (a StatefulSet and a Service "nats"), else to a Linux host. Smoke check: both users
 * connect, JetStream answers, the four buckets exist; where a Kubernetes API's node ports cannot be reached from here:
 * every replica says of itself that it is healthy.
 * Errors: deploy, and what the topology reports.
 */
MUST_CHECK int fleet_nats_score_interpret(const struct fleet_nats_score *score, struct topology *topology,
                                          struct deadline deadline, struct fleet_nats_deployed *ret, struct error *err);

/**
 * The two halves of fleet_nats_score_interpret on Kubernetes, for a caller that has more to deploy meanwhile: after the
 * first *ret has the URLs, though nobody answers there yet. The outcome of the second is added to *deployed.
 * Errors: as fleet_nats_score_interpret; DEPLOY_NO_CAPABILITY without a Kubernetes API.
 */
MUST_CHECK int fleet_nats_score_apply(const struct fleet_nats_score *score, struct topology *topology,
                                      struct deadline deadline, struct fleet_nats_deployed *ret, struct error *err);
MUST_CHECK int fleet_nats_score_wait(const struct fleet_nats_score *score, struct topology *topology,
                                     struct deadline deadline, struct fleet_nats_deployed *deployed, struct error *err);
