/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the local host writes down of a service, so that another process (or this one, later) can find it again.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "deploy/linux_host.h"

struct service_record {
    pid_t pid;           /**< 0: no record */
    uint64_t start;      /**< field 22 of /proc/PID/stat: pids are given out again */
    uint64_t definition; /**< service_definition_hash of what was started */
};

/** Of everything in the definition, in order. */
uint64_t service_definition_hash(const struct service_definition *definition);

/** Fill pid and start for a process that has just been started. Errors: system/ESRCH when it is gone already. */
MUST_CHECK int service_record_identify(pid_t pid, struct service_record *ret, struct error *err);
/** Does exactly this process run? A zombie does not. */
bool service_record_alive(const struct service_record *record);

/** A missing file is an empty record. Errors: GENERAL_INVALID (unreadable), system. */
MUST_CHECK int service_record_read(const char *path, struct service_record *ret, struct error *err);
MUST_CHECK int service_record_write(const char *path, const struct service_record *record, struct error *err);
