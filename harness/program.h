/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/**
 * Absolute path of a program of this product: in $FLEET_E2E_PROGRAMS, else beside the running executable, else in PATH.
 * Errors: GENERAL_NOT_FOUND, naming the places looked at. Caller frees *ret.
 */
MUST_CHECK int program_find(const char *name, char **ret, struct error *err);
/** The same for people, so that what is printed can be pasted anywhere: the path quoted for a shell, the name when it is
 *  not found. Caller frees. */
char *program_shown(const char *name);
