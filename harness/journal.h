/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The journal of a run: <run>/journal, one JSON object a line, appended by one write(2) each. It is read after crashes:
 * a torn line (no newline at the end, or not JSON) is no event, for whoever wrote it was never told that it stands.
 */

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/error.h"
#include "base/process_identity.h"
#include "base/text.h"
#include "harness/run.h"

struct journal_resource {
    char *kind_name; /**< as in the journal: may be of a newer program */
    char *name;
    bool undone;
};

struct process_identity_list {
    struct process_identity *items;
    size_t count;
};

/** Append. */
void process_identity_list_add(struct process_identity_list *list, struct process_identity identity);

/** What a journal says, all events applied. Zero-initialised is empty. */
struct journal {
    bool started; /**< the first event stands */
    char *label;
    struct process_identity owner;
    struct process_identity reaper;
    struct process_identity_list parents; /**< the owner is killed when one of these ends */
    bool keep;
    int64_t started_at;                 /**< seconds since the epoch */
    char *bundle;                       /**< NULL: none */
    struct journal_resource *resources; /**< oldest first */
    size_t resource_count;
};
void journal_clear(struct journal *journal);
static inline void journal_clear_at_exit(struct journal *journal)
{
    journal_clear(journal);
}
#define cleanup_journal __attribute__((cleanup(journal_clear_at_exit)))

/** Read the journal of the run in `directory`; a run without one (or with an empty one) is not `started`. */
MUST_CHECK int journal_read(const char *directory, struct journal *ret, struct error *err);

/** The same by a descriptor, which reads it even after somebody has removed the directory. */
MUST_CHECK int journal_read_fd(int fd, struct journal *ret, struct error *err);
/** A descriptor for journal_read_fd; the caller closes it. */
MUST_CHECK int journal_open(const char *directory, int *ret, struct error *err);

/** The event that begins a run, to be the journal's first line. Freed by cJSON_Delete. */
cJSON *journal_start_event(const struct journal *journal);
/** Make the journal with its first line (as rendered by journal_line). */
MUST_CHECK int journal_create(const char *directory, const char *line, struct error *err);
/** An event as a line, newline included. Caller frees. */
char *journal_line(const cJSON *event);

/** {"event": "reaper", "pid": …, "start": …}. */
MUST_CHECK int journal_append_reaper(const char *directory, const struct process_identity *reaper, struct error *err);
/** {"event": "keep"}: the run is kept from now on. */
MUST_CHECK int journal_append_keep(const char *directory, struct error *err);
/** {"event": event, "kind": …, "name": …} for "create" and "undone". */
MUST_CHECK int journal_append_resource(const char *directory, const char *event, const char *kind_name,
                                       const char *name, struct error *err);

/**
 * End the journal: no event can be appended any more. *late is true (and nothing is ended) if it has more than
 * `size` bytes, that is, somebody wrote since it was read.
 */
MUST_CHECK int journal_close(const char *directory, off_t size, bool *late, struct error *err);
/** Bytes it has now, 0 when there is none. */
off_t journal_size(const char *directory);
