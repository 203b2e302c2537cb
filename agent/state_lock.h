/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One agent a state directory: two of them would each undo what the other does.
 */

#include "base/error.h"

/**
 * Make the directory where missing, and lock it until *fd is closed or the process ends, however that happens.
 * Errors: GENERAL_CONFLICT (another agent has it), system.
 */
MUST_CHECK int state_lock_take(const char *state_directory, int *fd, struct error *err);
