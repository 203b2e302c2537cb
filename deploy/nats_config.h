/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * nats-server.conf of a FleetNatsScore.
 */

#include "base/text.h"
#include "deploy/nats_score.h"

/** Score name in messages. */
#define FLEET_NATS_SCORE "FleetNatsScore"

/** Refuse what cannot be deployed. Errors: DEPLOY_INVALID_SCORE. */
MUST_CHECK int nats_score_validate(const struct fleet_nats_score *score, struct error *err);
/** The part of it that holds wherever NATS runs: two users, both given. Errors: DEPLOY_INVALID_SCORE. */
MUST_CHECK int nats_score_check_users(const struct fleet_nats_score *score, struct error *err);
/** Append how large a message may be. */
void nats_config_add_limits(struct text_buffer *text);
/** Append the two users and what the devices' one may do. */
void nats_config_add_users(struct text_buffer *text, const struct fleet_nats_score *score);
/** The whole file for a score that was validated. Caller frees. */
char *nats_config_text(const struct fleet_nats_score *score, int port);
/** The address clients on this host connect to; borrowed. */
const char *nats_connect_address(const struct fleet_nats_score *score);
