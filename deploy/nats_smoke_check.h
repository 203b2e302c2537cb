/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The smoke check of NATS, wherever it was deployed to.
 */

#include "deploy/nats_score.h"

/**
 * Once: both users connect, JetStream answers, the four buckets exist (they are made where missing, and get as many
 * replicas as the score says).
 * @param deadline  of the whole; an attempt to connect takes no longer
 * Errors: nats (NATS_CONNECTION_AUTH_FAILED: it does not know the user), kv.
 */
MUST_CHECK int nats_smoke_check(const struct fleet_nats_score *score, const char *url, struct deadline deadline,
                                struct error *err);
