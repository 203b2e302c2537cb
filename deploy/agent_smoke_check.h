/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The smoke check of every score that deploys an agent: a ping over NATS is answered.
 */

#include "deploy/linux_host.h"
#include "deploy/nats_score.h"

struct agent_smoke_check {
    const char *score;   /**< its name, in messages */
    const char *service; /**< the agent's service on the host; agent_answers does not look at it */
    const char *device_id;
    const char *nats_url;      /**< where we reach NATS, which may be another address than the device's */
    struct user_password user; /**< needs request rights */
};

/** Asked while there is no answer: 0: the agent may answer yet; -1 with *err set: it will not. */
typedef int (*agent_still_running)(void *context, struct error *err);
/**
 * Ask until the agent answers, wherever it is; given up early when `still_running` says so.
 * Errors: GENERAL_TIMEOUT; of the connection; of still_running.
 */
MUST_CHECK int agent_answers(const struct agent_smoke_check *check, agent_still_running still_running, void *context,
                             struct deadline deadline, struct error *err);

/**
 * Ask until the agent answers; given up early when its service does not run any more. Nothing is asked of the host but,
 * while there is no answer, the service's state.
 * Errors: DEPLOY_SMOKE_CHECK_FAILED, with the cause and the end of the service's log.
 */
MUST_CHECK int agent_smoke_check(const struct agent_smoke_check *check, const struct linux_host *host,
                                 struct deadline deadline, struct error *err);
