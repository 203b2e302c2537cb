/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The life of a run, from where its reaper stands:
 *
 *   start line ──> begun ──> watching ──┬── "finished" appears ─────────────────────────┬──> undone ──> gone
 *   (read from     (mkdir,   (owner's   │                                               │
 *    the owner's   journal,  pidfd,     ├── a parent ends: kill the owner               └──> undo failed: directory,
 *    socket; end   locks)    its        │                                                    journal and note stay; the
 *    of file: no             parents',  └── owner ends ──┬── kept: go, leave everything      next run tries again
 *    run)                    inotify)                    └── kill holders, save logs, undo ─┘
 *
 * From "begun" on the journal is what counts: whoever holds the reaper's lock may undo (a later run's pruning, a
 * person's `fleet-e2e down`), and everything may be undone twice.
 */

#include <sys/types.h>

#include "base/error.h"

/**
 * Start the reaper of the run that is to live in `directory`: a process of its own session, no child of ours, with
 * nothing of ours open and no mark. It makes the directory and the journal, whose first line is `start_line`, so that
 * there is no moment at which the run exists without it. Returns once it watches `owner`.
 */
MUST_CHECK int reaper_start(const char *directory, pid_t owner, const char *start_line, struct error *err);
