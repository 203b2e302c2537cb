/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * FleetAgentScore: one harmony-fleet-agent.
 */

#include "contracts/device.h"
#include "deploy/nats_score.h"

struct fleet_agent_score {
    const char *agent_program; /**< Linux host: absolute path */
    const char *directory;     /**< Linux host: configuration, secret and state */
    const char *image;         /**< Kubernetes: of the agent, a Pod "agent-<device>" with runtime_enabled = false */
    const char *device_id;
    const struct device_label *labels;
    size_t label_count;
    const char *nats_url;
    struct user_password credentials; /**< the device user */
    bool runtime_enabled;
    const char *podman_socket; /**< needed when runtime_enabled */
    int heartbeat_interval_ms; /**< 0: the agent's default; same below */
    int reconcile_interval_ms;
    const char *const *environment; /**< for its process; may be NULL */
    /** The smoke check asks as this user (needs request rights); user NULL: no smoke check (NATS is known to be down). */
    struct user_password smoke_check;
    /** Kubernetes: NATS as it is reached from here. NULL: the smoke check is that the Pod is ready. */
    const char *smoke_check_url;
};

struct fleet_agent_deployed {
    char *service;  /**< its service name on the host, "fleet-agent-<device>", or its Pod's name; owned */
    char *log_path; /**< owned; may be NULL */
    struct score_outcome outcome;
};
void fleet_agent_deployed_clear(struct fleet_agent_deployed *deployed);

/** Deploy to a Kubernetes API (a Pod), else to a Linux host. Smoke check: the agent answers a ping. */
MUST_CHECK int fleet_agent_score_interpret(const struct fleet_agent_score *score, struct topology *topology,
                                           struct deadline deadline, struct fleet_agent_deployed *ret,
                                           struct error *err);

/**
 * The two halves of fleet_agent_score_interpret on Kubernetes, for a caller that has more to deploy meanwhile: the Pod
 * is made, and it answers. A Pod that differs is replaced, which the first half waits for. The outcome of the second is
 * added to *deployed. Errors: as fleet_agent_score_interpret; DEPLOY_NO_CAPABILITY without a Kubernetes API.
 */
MUST_CHECK int fleet_agent_score_apply(const struct fleet_agent_score *score, struct topology *topology,
                                       struct deadline deadline, struct fleet_agent_deployed *ret, struct error *err);
MUST_CHECK int fleet_agent_score_wait(const struct fleet_agent_score *score, struct topology *topology,
                                      struct deadline deadline, struct fleet_agent_deployed *deployed,
                                      struct error *err);
