/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Instants on the wire: RFC 3339, written in UTC with milliseconds.
 */

#include <stdint.h>

#include "base/deadline.h"
#include "base/error.h"

/**
 * Milliseconds since the epoch of an RFC 3339 instant ("…Z" or an offset), more precise fractions rounded down.
 * Errors: WIRE_MALFORMED, also for an instant outside the years 0000 to 9999 in UTC.
 */
MUST_CHECK int wire_time_parse(const char *text, int64_t *ret_ms, struct error *err);

/**
 * "2026-11-21T03:00:00.000Z" of milliseconds since the epoch.
 * Errors: WIRE_MALFORMED for an instant outside the years 0000 to 9999.
 */
MUST_CHECK int wire_time_format(int64_t ms, char ret[RFC3339_SIZE], struct error *err);
