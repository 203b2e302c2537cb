/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * FleetOperatorScore: custom resource definitions, rights of least privilege and the Deployment of
 * harmony-fleet-operator. FleetServerScore: NATS and the operator together (later: the auth callout between them).
 */

#include <cjson/cJSON.h>

#include "deploy/nats_score.h"

struct fleet_operator_score {
    const char *image;
    int replicas;         /**< 0: 1; more than one elect a leader */
    int nats_replicas;    /**< servers of its NATS, on which it keeps the buckets; 0: 1 */
    const char *nats_url; /**< as Pods reach it */
    struct user_password nats;
    int offline_after_ms; /**< a device whose last heartbeat is older is offline; 0: the operator's default; same below */
    int status_interval_ms; /**< how often a Deployment's status is written at most */
};

struct fleet_operator_deployed {
    struct score_outcome outcome;
};

/**
 * Deploy to a Kubernetes API. Smoke check: the custom resource definitions are established, the Deployment is rolled
 * out (its readiness probe is /readyz), and one of its Pods holds the lease.
 * Errors: DEPLOY_INVALID_SCORE (nothing was touched), DEPLOY_NO_CAPABILITY, DEPLOY_SMOKE_CHECK_FAILED, kube.
 */
MUST_CHECK int fleet_operator_score_interpret(const struct fleet_operator_score *score, struct topology *topology,
                                              struct deadline deadline, struct fleet_operator_deployed *ret,
                                              struct error *err);

/**
 * The two halves of fleet_operator_score_interpret, for a caller that has more to deploy meanwhile: everything is
 * applied; it is up. The outcome of the second is added to *deployed. Errors: as fleet_operator_score_interpret.
 */
MUST_CHECK int fleet_operator_score_apply(const struct fleet_operator_score *score, struct topology *topology,
                                          struct deadline deadline, struct fleet_operator_deployed *ret,
                                          struct error *err);
MUST_CHECK int fleet_operator_score_wait(const struct fleet_operator_score *score, struct topology *topology,
                                         struct deadline deadline, struct fleet_operator_deployed *deployed,
                                         struct error *err);

/** The custom resource definitions, as an array of objects ready to apply. Freed by cJSON_Delete. */
cJSON *fleet_custom_resource_definitions(void);

struct fleet_server_score {
    struct fleet_nats_score nats;
    struct fleet_operator_score operator; /**< nats_url NULL: of the NATS above, as are nats_replicas */
};
struct fleet_server_deployed {
    struct fleet_nats_deployed nats;
    struct fleet_operator_deployed operator;
    struct score_outcome outcome;
};
void fleet_server_deployed_clear(struct fleet_server_deployed *deployed);
/**
 * Deploy both: everything is applied first, then waited for, so that one starts while the other does. Both scores are
 * validated before anything is touched. Errors: as of the two.
 */
MUST_CHECK int fleet_server_score_interpret(const struct fleet_server_score *score, struct topology *topology,
                                            struct deadline deadline, struct fleet_server_deployed *ret,
                                            struct error *err);
