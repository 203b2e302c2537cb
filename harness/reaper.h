/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/**
 * Start the reaper of the run that is to live in `directory`: a process of its own session, no child of ours, with
 * nothing of ours open and no mark. It makes the directory and the journal, whose first line is `start_line`, so that
 * there is no moment at which the run exists without it. Returns once it watches `owner`.
 */
MUST_CHECK int reaper_start(const char *directory, pid_t owner, const char *start_line, struct error *err);
