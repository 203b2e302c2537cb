/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kinds of resources: how each is checked, undone, looked at. One row a kind (resource.c).
 */

#include "base/deadline.h"
#include "base/error.h"
#include "base/text.h"
#include "harness/run.h"

/** The run a resource belongs to. */
struct run_place {
    const char *id;
    const char *directory;
    int journal; /**< descriptor to read the journal by; -1: by its path */
};

struct resource_type {
    const char *name; /**< in journals: never change one */
    /** Refuse a name that this kind must not touch. Asked when it is journalled and again before it is undone. */
    int (*check)(const struct run_place *place, const char *name, struct error *err);
    /** Undo; what is not there (any more) is undone. Until the deadline, waits for what is busy. */
    int (*undo)(const struct run_place *place, const char *name, struct deadline deadline, struct error *err);
    /** Commands for a shell, to look at it and to remove it. `name` is quoted for the shell. */
    void (*describe)(const struct run_place *place, const char *name, struct text_buffer *inspect,
                     struct text_buffer *remove);
};

/** Its row. */
const struct resource_type *resource_type(enum resource_kind kind);
/** NULL when there is no kind of that name. */
const struct resource_type *resource_type_named(const char *name);

/** `text` as one word of a POSIX shell. Caller frees. */
char *shell_quote(const char *text);

/* undo_process.c */

/**
 * Kill every process whose environment has `mark` ("NAME=value"; `prefix`: begins with it), but not this one, and wait
 * until two scans in a row find none. Errors: system/EBUSY naming the processes that did not end.
 */
MUST_CHECK int processes_end(const char *mark, bool prefix, struct deadline deadline, struct error *err);

/* undo_cgroup.c */

/**
 * Remove the control group `name` from every hierarchy below `root` (/sys/fs/cgroup), with those in it; members are
 * killed. Errors: system/EBUSY when it stays busy.
 */
MUST_CHECK int control_groups_remove(const char *root, const char *name, struct deadline deadline, struct error *err);

/* undo_directory.c */

/**
 * May a run remove this path? It must be absolute and plain (no "." or ".." or "//"), lie below the run's own
 * directory or below <cache>/tmp, be reached through no symbolic link, and hold no home directory.
 */
MUST_CHECK int removable_check(const struct run_place *place, const char *path, struct error *err);
/** Detach what is mounted on or below `path` (deepest first), then remove it with all in it; ENOENT is fine. */
MUST_CHECK int tree_remove(const char *path, struct deadline deadline, struct error *err);
