/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is reported of one deployment, and when: on every change, but progress at most twice a second, and that of
 * another attempt after a failure only when it takes long.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent/podman_client.h"
#include "contracts/device.h"
#include "contracts/score.h"

enum {
    MESSAGE_INTERVAL_MS = 500,
    RETRY_QUIET_MS = 5000, /* an attempt after a failure that takes no longer says nothing of what it does */
};

struct state_report {
    struct device_state state;
    bool known;       /**< there is something to report */
    bool changed;     /**< it differs from what was reported last */
    bool outage;      /**< state.error is about podman being away, not about the deployment */
    int64_t quiet_ms; /**< until then no message is reported */
    char *later;      /**< progress that came too soon; NULL: none */
};

/** Be in `phase` about `revision`, for `error` (NULL: none). Entering another phase, or another revision's, sets since. */
void state_report_enter(struct state_report *report, enum deployment_phase phase, uint64_t revision, const char *error);
/** What is reported is about no known revision. */
void state_report_forget_revision(struct state_report *report);
/** Say what is being done (or NULL: nothing to say). Kept back when it is too soon for one. */
void state_report_say(struct state_report *report, const char *message, int64_t now_ms);
/** Say what was kept back, if it is time. */
void state_report_flush(struct state_report *report, int64_t now_ms);
/** When there is something to flush; INT64_MAX: nothing. */
int64_t state_report_flush_ms(const struct state_report *report);
/** podman is away (`error`) or back (NULL). A deployment that has failed keeps its own error. */
void state_report_outage(struct state_report *report, const char *error);
/** The deployment's containers out of all observed: its services', then init containers that are still there. */
void state_report_containers(struct state_report *report, const char *deployment, const struct observed_list *observed);
void state_report_clear(struct state_report *report);
