/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a FleetOperatorScore is on Kubernetes, besides the custom resource definitions:
 *
 *   ServiceAccount                      harmony-fleet-operator
 *   Role, RoleBinding                   what it may do in its namespace: Deployments of the fleet, its Lease
 *   ClusterRole, ClusterRoleBinding     harmony-fleet-operator-<namespace>: Devices, which are cluster-scoped
 *   Secret                              its password of NATS
 *   Deployment                          the operator
 */

#include <cjson/cJSON.h>

#include "deploy/operator_score.h"

/** Score name in messages. */
#define FLEET_OPERATOR_SCORE "FleetOperatorScore"

#define OPERATOR_NAME "harmony-fleet-operator"

/**
 * Refuse what cannot be deployed.
 * @param url_known  false: nats_url may be NULL, it will be known later
 * Errors: DEPLOY_INVALID_SCORE.
 */
MUST_CHECK int operator_score_validate(const struct fleet_operator_score *score, bool url_known, struct error *err);

/* The objects; each freed by cJSON_Delete. The names of images and namespaces have been checked. */
/** The account its Pods run as; the rights are bound to it. */
cJSON *operator_service_account(const char *namespace_name);
cJSON *operator_role(const char *namespace_name);
cJSON *operator_role_binding(const char *namespace_name);
cJSON *operator_cluster_role(const char *namespace_name);
cJSON *operator_cluster_role_binding(const char *namespace_name);
cJSON *operator_secret(const struct fleet_operator_score *score, const char *namespace_name);
/** Another password or other settings restart the operator. `secret`: operator_secret(), as the server has it. */
cJSON *operator_deployment(const struct fleet_operator_score *score, const char *namespace_name, const cJSON *secret);
