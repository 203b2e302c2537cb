/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a FleetNatsScore is on Kubernetes:
 *
 *   ServiceAccount nats       without a token and without rights
 *   Service nats              where clients connect; of type NodePort when there is one
 *   Service nats-pods         headless, of the StatefulSet; the monitor of each replica
 *   Services nats-0, -1, -2   of three replicas: their routes to each other, which so need no DNS
 *   Secret nats               the server's configuration, which has the passwords
 *   StatefulSet nats          the servers
 */

#include <cjson/cJSON.h>

#include "base/text.h"
#include "deploy/nats_score.h"

#define NATS_NAME          "nats"
#define NATS_PODS_SERVICE  "nats-pods"
#define NATS_CLIENT_PORT   4222
#define NATS_MONITOR_PORT  8222
#define NATS_ROUTES_PORT   6222
#define NATS_CLUSTER_COUNT 3 /* replicas of a cluster */

/** Refuse what cannot be deployed to Kubernetes. Errors: DEPLOY_INVALID_SCORE. */
MUST_CHECK int nats_score_validate_on_kubernetes(const struct fleet_nats_score *score, struct error *err);
/** One, or three. */
int nats_replicas(const struct fleet_nats_score *score);

/**
 * The configuration of one server. `routes`: addresses of the replicas; empty where there is one. Its own is given as
 * that of the loopback interface: a server that does not see which route leads to itself counts itself as one more of
 * its cluster, which then may not find a leader. Caller frees.
 */
char *nats_pods_config_text(const struct fleet_nats_score *score, const struct text_list *routes, size_t replica);

/* The objects; each freed by cJSON_Delete. The names of images and namespaces have been checked. */
/** The account its Pods run as, which has no rights. */
cJSON *nats_service_account(const char *namespace_name);
cJSON *nats_service(const struct fleet_nats_score *score, const char *namespace_name);
cJSON *nats_pods_service(const char *namespace_name);
cJSON *nats_route_service(const char *namespace_name, int replica);
/** @param config_digest  of the configuration: another one restarts the servers one by one */
cJSON *nats_stateful_set(const struct fleet_nats_score *score, const char *namespace_name, const char *config_digest);
