/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * agent-config.toml of a FleetAgentScore (docs/agent-config.md).
 */

#include "deploy/agent_score.h"

/** Score name in messages. */
#define FLEET_AGENT_SCORE "FleetAgentScore"

/** Refuse what cannot be written into the file, wherever the agent runs. Errors: DEPLOY_INVALID_SCORE. */
MUST_CHECK int agent_score_check_config(const struct fleet_agent_score *score, struct error *err);
/** Refuse what cannot be deployed to a host. Errors: DEPLOY_INVALID_SCORE. */
MUST_CHECK int agent_score_validate(const struct fleet_agent_score *score, struct error *err);
/** Refuse what is no URL of NATS, or has credentials in it. Errors: DEPLOY_INVALID_SCORE. */
MUST_CHECK int agent_score_check_url(const char *field, const char *url, struct error *err);
/** The whole file for a score that was validated. Caller frees. */
char *agent_config_text(const struct fleet_agent_score *score, const char *state_directory, const char *password_file);
