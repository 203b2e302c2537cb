/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Init containers: each runs to completion, in order, before any service of a fresh set is made. That they may run
 * again (on every attempt that needs a fresh container) is their author's contract. One that succeeded is removed; one
 * that failed stays until the next attempt, found by `podman ps -a --filter label=io.harmony.fleet.init`.
 */

#include "agent/converge.h"

extern const struct error_domain init_error_domain;
enum init_error {
    INIT_EXITED = 1, /**< with another exit code than 0 */
    INIT_TIMED_OUT,  /**< it ran longer than its timeout and was killed */
};

/** `observed`: the deployment's containers, for what a former attempt left. Errors: init, and those of converge. */
MUST_CHECK int init_containers_run(const struct convergence *convergence, const struct observed_list *observed,
                                   struct error *err);
