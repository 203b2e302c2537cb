/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One natsConnection_Connect in a thread of its own. Connecting can take long where nothing can interrupt it (a name
 * that no resolver answers for), so whoever waits for it must be able to walk away: an abandoned attempt finishes and
 * frees itself.
 */

#include "base/deadline.h"
#include "base/error.h"
#include "messaging/options.h"

struct connect_attempt;

/** Called once from the attempt's thread when it has a result, abandoned or not. */
typedef void (*connect_attempt_done)(void *context, bool connected);

/** Takes `options` in any case. Errors: system (no thread). */
MUST_CHECK int connect_attempt_start(natsOptions *options, connect_attempt_done done, void *context,
                                     struct connect_attempt **ret, struct error *err);
/** The result of one whose `done` was called: 0 and the connection (the caller destroys it), or -1 with why it failed. */
MUST_CHECK int connect_attempt_result(struct connect_attempt *attempt, natsConnection **ret, struct error *err);
/** Free; one that still runs is abandoned: what it may still open is closed again. NULL is fine. */
void connect_attempt_free(struct connect_attempt *attempt);
DEFINE_CLEANUP(struct connect_attempt *, connect_attempt_free)

/** Attempts abandoned and still running in this process: nats.c must not be torn down under them. */
unsigned connect_attempts_abandoned(void);
