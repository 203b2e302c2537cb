/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The operator, put together.
 */

#include "operator/options.h"

/** Block the signals that end it, in the calling thread and those it starts: first of all in main(). */
void operator_block_signals(void);
/**
 * Run until SIGTERM or SIGINT.
 * Errors: GENERAL_INVALID (options that cannot be used), kube/KUBE_CONFIG, auth, nats, system.
 */
MUST_CHECK int operator_run(const struct operator_options *options, struct error *err);
