/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole agent: connection, command server, link, reconciler, and the main loop that waits for signals.
 */

#include "agent/config.h"

/** Keep the signals that end or concern an agent for agent_run(); call it first, before there are threads. */
void agent_block_signals(void);
/** Check what the configuration's own loader cannot. Errors: nats (TLS files that cannot be used). */
MUST_CHECK int agent_check(const struct agent_config *config, struct error *err);
/**
 * Run until SIGTERM or SIGINT. Errors: system, GENERAL_CONFLICT (another agent uses the state directory), nats (TLS
 * files that cannot be used), wire.
 */
MUST_CHECK int agent_run(const struct agent_config *config, struct error *err);
