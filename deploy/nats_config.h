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
/** The whole file for a score that was validated. Caller frees. */
char *nats_config_text(const struct fleet_nats_score *score, int port);
/** The address clients on this host connect to; borrowed. */
const char *nats_connect_address(const struct fleet_nats_score *score);
