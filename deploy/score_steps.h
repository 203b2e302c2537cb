/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the scores share: validation in the same words, steps told to the observer, smoke-check failures.
 */

#include <stddef.h>

#include "auth/credentials.h"
#include "deploy/linux_host.h"
#include "deploy/nats_score.h"
#include "deploy/score.h"

/** Refuse the score's data: DEPLOY_INVALID_SCORE. Returns -1. */
int score_refuse(struct error *err, const char *score, const char *field, const char *detail_format, ...)
    PRINTF_LIKE(4, 5);
/** An absolute path without control characters; for score_check_program also of an executable file. */
MUST_CHECK int score_check_path(const char *score, const char *field, const char *path, struct error *err);
MUST_CHECK int score_check_program(const char *score, const char *field, const char *path, struct error *err);
/** Usable as credentials. *ret may be NULL; else freed by credentials_free. */
MUST_CHECK int score_check_credentials(const char *score, const char *field, const struct user_password *user,
                                       struct credentials **ret, struct error *err);
/** The topology's Linux host. Errors: DEPLOY_NO_CAPABILITY. */
MUST_CHECK int score_linux_host(const char *score, const struct topology *topology, struct linux_host **ret,
                                struct error *err);

/** One step of an interpretation: what it changed is told to the observer and added to the outcome. */
struct score_step {
    const struct topology *topology;
    const char *name;
    struct score_outcome *outcome;
    bool changed;
};
struct score_step score_step_begin(const struct topology *topology, const char *name, struct score_outcome *outcome);
void score_step_end(struct score_step *step);

/** Make the set *err the cause of DEPLOY_SMOKE_CHECK_FAILED, with the end of the service's log. Returns -1. */
int score_smoke_check_failed(struct error *err, const struct linux_host *host, const char *service);
/** Put the end of the service's log around the set *err, for a service that could not be started. Returns -1. */
int score_start_failed(struct error *err, const struct linux_host *host, const char *service);
/** Errors: GENERAL_FAILED when the service does not run (any more). For conditions that wait for its answer. */
MUST_CHECK int score_check_running(const struct linux_host *host, const char *service, struct error *err);
