/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One deployment on this device: what is wanted of it, what is being done about it, what is reported. Used by the
 * reconciler's worker thread only.
 *
 *                      drift                  begun                      done
 *      SETTLED ───────────────────▶ DUE ──────────────────▶ WORKING ──────────────▶ SETTLED
 *         │                        ▲ ▲ ▲                      │  │
 *         └──────── wanted ────────┘ │ └─── interrupted ──────┤  │ wanted (the work is cancelled)
 *            (something else)        │      failed (later)    │  ▼
 *                                    └──── ended, any way ────┼─ SUPERSEDED
 *                                                             ▼
 *                                    (gone, when done and nothing is wanted)
 *
 * DUE carries the moment at which work begins: at once, or after the back-off of a failure.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/podman_client.h"
#include "agent/service_watch.h"
#include "agent/state_report.h"
#include "agent/work.h"
#include "contracts/names.h"
#include "contracts/score.h"

enum {
    RETRY_FIRST_MS = 1000,
    RETRY_MOST_MS = 5 * 60 * 1000,
    INTERRUPTED_DELAY_MS = 200, /* somebody else is at work on the same containers */
    INTERRUPTIONS_MAX = 3,      /* so often in a row, then it is a failure */
    STORE_AGAIN_MS = 5000,      /* a disk that was full may have room again */
};

enum deployment_goal {
    GOAL_RUN,        /**< the score */
    GOAL_ABSENT,     /**< the desired state was deleted */
    GOAL_LEFT_ALONE, /**< the desired state is unusable: whatever runs of a former one is not touched */
};

enum deployment_step { STEP_SETTLED, STEP_DUE, STEP_WORKING, STEP_SUPERSEDED };

struct deployment {
    char name[TOKEN_MAX + 1];
    enum deployment_goal goal;
    uint64_t revision;
    uint64_t bucket;               /**< the one the desired state came from; 0: not known */
    uint64_t content;              /**< fingerprint of the score: the same revision may come twice */
    struct score *score;           /**< GOAL_RUN */
    struct service_watch *watches; /**< one per service of the score */
    bool retry_failed;             /**< a new revision gives services that failed for good another try */

    enum deployment_step step;
    int64_t due_ms;
    int failures;                 /**< in a row */
    int interruptions;            /**< in a row */
    struct work *work;            /**< WORKING, SUPERSEDED */
    uint64_t last_look;           /**< its containers have been changed since: it and those before it say nothing */
    struct desired_change change; /**< not on disk yet; done by the next work */
    int64_t store_at_ms;          /**< when that is tried again, after it failed */

    struct state_report report;
};

/** One of which nothing is wanted or known yet. Never NULL. */
struct deployment *deployment_new(const char *name);
void deployment_free(struct deployment *deployment);

/** Another desired state; takes the score. It is put on disk unless `data` is NULL (it comes from there). */
void deployment_want(struct deployment *deployment, uint64_t revision, uint64_t content, struct score *score,
                     const char *data, size_t size);
/** Report what was wanted just now as Pending. (What comes from the store is only reported once it was looked at.) */
void deployment_announce(struct deployment *deployment);
/** The same score under another revision. */
void deployment_want_again(struct deployment *deployment, uint64_t revision, const char *data, size_t size);
/** The bucket it came from is lost: its revision means nothing any more. */
void deployment_outlive_bucket(struct deployment *deployment);
/** The desired state was deleted; `store`: that is to be put on disk. */
void deployment_want_absent(struct deployment *deployment, bool store);
/** A desired state that cannot be used, and why. */
void deployment_refuse(struct deployment *deployment, uint64_t revision, const char *reason);

/** Work is to begin now. */
bool deployment_is_due(const struct deployment *deployment, int64_t now_ms);
/**
 * Begin it. `order` has everything but what is the deployment's own. Errors: system (try again later).
 */
MUST_CHECK int deployment_begin(struct deployment *deployment, struct work_order order, struct error *err);

enum deployment_news {
    NEWS_NONE,
    NEWS_ENDED,       /**< the work has ended: look at the containers */
    NEWS_INTERRUPTED, /**< podman may be away: look whether it is */
    NEWS_GONE,        /**< nothing is left of it: forget it */
};
/** Take progress and results from the work. `last_look` is the number of the last look that was requested. */
enum deployment_news deployment_collect(struct deployment *deployment, uint64_t last_look, int64_t now_ms);

/**
 * Compare what was observed of all containers by look number `look` with what is wanted; a difference makes it due.
 * Returns when to look again (INT64_MAX: at the next event).
 */
int64_t deployment_judge(struct deployment *deployment, const struct observed_list *observed, uint64_t look,
                         int64_t now_ms);
/** podman said that a container of service `service` ended. */
void deployment_note_death(struct deployment *deployment, const char *service, const char *id, int exit_code,
                           int64_t now_ms);
