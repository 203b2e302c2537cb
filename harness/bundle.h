/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a failure leaves to understand it: files copied out of a run's directory before that is removed.
 */

#include "base/error.h"
#include "base/text.h"

/**
 * Copy every "*.log" below `from` (links and the directories in `skip` are not followed) to `to`/logs, keeping the
 * way to it; of a large file its end. `to` exists. Goes on after a failure and reports the first.
 */
MUST_CHECK int bundle_copy_logs(const char *from, const struct text_list *skip, const char *to, struct error *err);

/** What a run has to say of itself, into `to` (made if missing): its logs and its journal. */
MUST_CHECK int bundle_collect_run(const char *directory, const char *to, struct error *err);

/** Write `text` as the file `name` in `directory`. */
MUST_CHECK int bundle_write(const char *directory, const char *name, const char *text, struct error *err);
