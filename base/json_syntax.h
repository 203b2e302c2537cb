/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to base/json.c: a strict reading of RFC 8259 before cJSON sees a document. cJSON takes more than JSON (raw
 * control characters, "01", bytes that are not UTF-8), cuts strings at \u0000 and says at best near where it stopped.
 */

#include <stddef.h>

#include "base/error.h"

/** Errors: JSON_SYNTAX whose detail has line, column and byte. */
MUST_CHECK int json_check_syntax(const char *data, size_t size, struct error *err);
/** The same, but what json_parse_tolerant takes is changed, in place, to what cJSON can hold. */
MUST_CHECK int json_repair_syntax(char *data, size_t size, struct error *err);
