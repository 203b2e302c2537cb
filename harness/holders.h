/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who may still make resources in a run: every process with a `struct run` of it, and every child such a process forked
 * that is not yet the program it is to become. The latter has neither the mark (that comes with its program's
 * environment) nor a parent that could be asked: but it still has all descriptors of its parent, those that exec(3)
 * closes too. So whoever uses a run holds the file <run>/handle open, close-on-exec and with a shared lock on it;
 * the reaper knows that all are gone when it gets the exclusive one.
 */

#include "base/deadline.h"
#include "base/error.h"

/** Make the file of a new run. *ret is the reaper's own descriptor (the caller closes it). */
MUST_CHECK int holders_create(const char *directory, int *ret, struct error *err);
/** Become a holder; the caller closes *ret. Errors: GENERAL_NOT_FOUND when the run has ended or is being undone. */
MUST_CHECK int holders_join(const char *directory, int *ret, struct error *err);
/** Kill every holder until there is none; nobody can join any more. Errors: system/EBUSY at the deadline. */
MUST_CHECK int holders_end(int fd, struct deadline deadline, struct error *err);
