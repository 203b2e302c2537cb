/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is known of one service of a deployment over time, and the judgement whether its container is as it should be.
 *
 * Containers cannot be changed in podman, only replaced, so "this id matches that spec" stays true for as long as both
 * exist: a container is inspected and compared once, and from then on recognised by its id in the list of containers.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/podman_client.h"
#include "contracts/score.h"

enum {
    DEATHS_KEPT = 5,            /* a service that ended so often … */
    DEATHS_WITHIN_MS = 30000,   /* … within that time keeps exiting, … */
    DEATHS_FORGIVEN_MS = 10000, /* … until it has stayed up (or down) for so long */
    CODE_RENEWED_MS = 30000,    /* how often the code it keeps exiting with is brought up to date: each is a write */
    PODMAN_RESTARTS_WITHIN_MS = 500 /* podman gets so long to do what the restart policy says before we start it */
};

struct service_watch {
    char *verified;              /**< id of the container that was found (or made) to match the spec; NULL: none yet */
    bool ran;                    /**< it has been seen running */
    int64_t ended_ms;            /**< when it was first seen not running; 0: it is not */
    int64_t deaths[DEATHS_KEPT]; /**< when it ended, oldest first */
    int death_count;
    bool keeps_exiting;
    int exit_code;   /**< of a death while it keeps exiting: the last one when it was brought up to date */
    int64_t code_ms; /**< when that was */
};

enum service_verdict {
    SERVICE_WELL,   /**< it runs, or it has finished as its restart policy says */
    SERVICE_LATER,  /**< something is under way: look again at `look_again_ms` (0: at the next event) */
    SERVICE_FAILED, /**< it does not run, and starting it again is not for now (`look_again_ms`) or not for us (0) */
    SERVICE_NEEDS_WORK, /**< it is to be made, compared, started or unpaused */
};

struct service_finding {
    enum service_verdict verdict;
    char *reason; /**< "web has exited with code 3"; NULL when well; owned */
    int64_t look_again_ms;
};

/** What has to be done about the container; `observed` NULL: there is none. Updates what is known. */
void service_watch_judge(struct service_watch *watch, const struct container_spec *spec,
                         const struct observed_container *observed, int64_t now_ms, struct service_finding *ret);
/** podman said that this container ended. */
void service_watch_died(struct service_watch *watch, const char *id, int exit_code, int64_t now_ms);
/** From now on container `id` (NULL: none) is the one that matches. */
void service_watch_verify(struct service_watch *watch, const char *id);
void service_watch_clear(struct service_watch *watch);

/** The restart policy says that this end is for good: "no" always, "on-failure" after exit code 0. */
bool service_end_is_final(const struct container_spec *spec, int exit_code);
