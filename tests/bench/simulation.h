/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A fleet-simulator that runs for whoever measures or tests: started, up, asked, ended.
 */

#include <cjson/cJSON.h>

#include "auth/credentials.h"
#include "base/deadline.h"
#include "base/process.h"

struct simulation_options {
    const char *directory; /**< where its password file and its output go */
    const char *nats_url;
    const struct credentials *credentials;
    int devices;
    int connections;              /**< 0: one each */
    int heartbeat_ms;             /**< 0: the simulator's default */
    int report_ms;                /**< 0: the simulator's default */
    const char *const *arguments; /**< more of the simulator's options, NULL-terminated; may be NULL */
};

struct simulation;
/**
 * Start it and wait until all its devices are up. It ends with the calling thread at the latest.
 * Errors: GENERAL_FAILED with what it said when it ended; GENERAL_TIMEOUT.
 */
MUST_CHECK int simulation_start(const struct simulation_options *options, struct deadline deadline,
                                struct simulation **ret, struct error *err);
/** SIGTERM; it removes its keys and ends. Errors: GENERAL_FAILED when it ends otherwise than it should. */
MUST_CHECK int simulation_stop(struct simulation *simulation, struct deadline deadline, struct error *err);
/** Killed if it still runs. NULL is fine. */
void simulation_free(struct simulation *simulation);
DEFINE_CLEANUP(struct simulation *, simulation_free)

/** The process, for whoever looks at what it costs. */
pid_t simulation_pid(const struct simulation *simulation);
/** The end of its devices' ids, and the value of their label "simulator"; borrowed. */
const char *simulation_suffix(const struct simulation *simulation);
/** Device id of number `number`. Caller frees. */
char *simulation_device(const struct simulation *simulation, int number);
/** The last line with this "event", freed by cJSON_Delete; NULL when there is none yet. */
cJSON *simulation_event(const struct simulation *simulation, const char *event);
