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
    const char *server_program;  /**< absolute path of nats-server >= 2.10 */
    const char *directory;       /**< configuration and JetStream store */
    const char *listen_address;  /**< NULL: 127.0.0.1 */
    int port;                    /**< 0: ask the system for a free one at the first interpret and keep it */
    struct user_password admin;  /**< may do everything */
    struct user_password device; /**< shared by the devices: publishes what agents publish, never desired-state */
};

struct fleet_nats_deployed {
    char *url; /**< "nats://127.0.0.1:4222"; owned */
    int port;
    struct score_outcome outcome;
};
void fleet_nats_deployed_clear(struct fleet_nats_deployed *deployed);

/**
 * Deploy to a Linux host. Smoke check: both users connect, JetStream answers, the four buckets exist.
 * Errors: deploy, and what the topology reports.
 */
MUST_CHECK int fleet_nats_score_interpret(const struct fleet_nats_score *score, struct topology *topology,
                                          struct deadline deadline, struct fleet_nats_deployed *ret, struct error *err);
