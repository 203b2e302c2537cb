/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole agent: connection, command server, link, reconciler, and the main loop that waits for signals.
 */

#include "agent/config.h"

/** Run until SIGTERM or SIGINT. Errors: system, nats (TLS files that cannot be used), wire. */
MUST_CHECK int agent_run(const struct agent_config *config, struct error *err);
