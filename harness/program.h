/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/**
 * Absolute path of a program of this product: in $FLEET_E2E_PROGRAMS, else beside the running executable, else in PATH.
 * Errors: GENERAL_NOT_FOUND, naming the places looked at. Caller frees *ret.
 */
MUST_CHECK int program_find(const char *name, char **ret, struct error *err);
