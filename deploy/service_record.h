/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the local host writes down of a service, so that another process (or this one, later) can find it again.
 */

#include <stdint.h>

#include "base/process_identity.h"
#include "deploy/linux_host.h"

struct service_record {
    struct process_identity process; /**< pid 0: no record */
    uint64_t definition;             /**< service_definition_hash of what was started */
};

/** Of everything in the definition, in order. */
uint64_t service_definition_hash(const struct service_definition *definition);

/** A missing file is an empty record. Errors: GENERAL_INVALID (unreadable), system. */
MUST_CHECK int service_record_read(const char *path, struct service_record *ret, struct error *err);
MUST_CHECK int service_record_write(const char *path, const struct service_record *record, struct error *err);
