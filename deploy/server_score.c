/* SPDX-License-Identifier: Apache-2.0 */

/*
 * FleetServerScore: the control plane of a fleet.
 */

#include "deploy/kubernetes_target.h"
#include "deploy/nats_manifests.h"
#include "deploy/operator_manifests.h"
#include "deploy/score_steps.h"

#define FLEET_SERVER_SCORE "FleetServerScore"

void fleet_server_deployed_clear(struct fleet_server_deployed *deployed)
{
    fleet_nats_deployed_clear(&deployed->nats);
    *deployed = (struct fleet_server_deployed){0};
}

/** Everything is applied before anything is waited for. */
static int deploy(const struct fleet_server_score *score, struct topology *topology, struct deadline deadline,
                  struct fleet_server_deployed *deployed, struct error *err)
{
    struct fleet_operator_score operator_score = score->operator;

    if (!operator_score.nats_url)
        operator_score.nats_replicas = score->nats.replicas;
    if (fleet_nats_score_apply(&score->nats, topology, deadline, &deployed->nats, err) < 0)
        return -1;
    if (!operator_score.nats_url)
        operator_score.nats_url = deployed->nats.in_cluster_url;
    if (fleet_operator_score_apply(&operator_score, topology, deadline, &deployed->operator, err) < 0 ||
        fleet_nats_score_wait(&score->nats, topology, deadline, &deployed->nats, err) < 0 ||
        fleet_operator_score_wait(&operator_score, topology, deadline, &deployed->operator, err) < 0)
        return -1;
    deployed->outcome.changed = deployed->nats.outcome.changed || deployed->operator.outcome.changed;
    return 0;
}

int fleet_server_score_interpret(const struct fleet_server_score *score, struct topology *topology,
                                 struct deadline deadline, struct fleet_server_deployed *ret, struct error *err)
{
    struct fleet_server_deployed deployed = {0};

    if (!topology->kubernetes)
        return error_set(err, &deploy_error_domain, DEPLOY_NO_CAPABILITY, "deploying " FLEET_SERVER_SCORE " to",
                         topology->name, "it has no Kubernetes API");
    if (nats_score_validate_on_kubernetes(&score->nats, err) < 0 ||
        operator_score_validate(&score->operator, false, err) < 0)
        return -1;
    if (deploy(score, topology, deadline, &deployed, err) < 0) {
        fleet_server_deployed_clear(&deployed);
        return -1;
    }
    fleet_server_deployed_clear(ret);
    *ret = deployed;
    return 0;
}
