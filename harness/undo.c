/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/undo.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "harness/bundle.h"
#include "harness/place.h"

/* One attempt at one resource; another resource further on may be what keeps this one busy. */
#define ATTEMPT_MS 1000

static int undo_one(const struct run_place *place, const struct journal_resource *resource, struct deadline deadline,
                    struct error *err)
{
    const struct resource_type *type = resource_type_named(resource->kind_name);

    if (!type)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "undoing", resource->name,
                         "this version knows no resource of kind %s", resource->kind_name);
    if (type->check(place, resource->name, err) < 0 || type->undo(place, resource->name, deadline, err) < 0)
        return -1;
    if (journal_append_resource(place->directory, "undone", resource->kind_name, resource->name, err) == 0)
        return 0;
    if (!error_is(err, &general_error_domain, GENERAL_NOT_FOUND))
        return -1;
    error_clear(err); /* somebody removed the directory: undoing again would do no harm */
    return 0;
}

static int read_journal(const struct run_place *place, struct journal *ret, struct error *err)
{
    return place->journal >= 0 ? journal_read_fd(place->journal, ret, err) : journal_read(place->directory, ret, err);
}

/* Try each once; the first failure goes to *first. Returns whether trying again may help. */
static bool undo_pass(const struct run_place *place, const struct journal *journal, struct deadline deadline,
                      struct error *first)
{
    bool again = false;

    for (size_t i = journal->resource_count; i-- > 0;) {
        const struct journal_resource *resource = &journal->resources[i];
        cleanup_error struct error failure = ERROR_INIT;
        if (resource->undone ||
            undo_one(place, resource, deadline_min(deadline, deadline_in_ms(ATTEMPT_MS)), &failure) == 0)
            continue;
        error_wrap(&failure, "undoing", resource->kind_name);
        again |= failure.domain == &system_error_domain; /* the others are refusals */
        if (!error_is_set(first))
            error_move(first, &failure);
    }
    return again;
}

int undo_resources(const struct run_place *place, struct deadline deadline, struct error *err)
{
    for (;;) {
        cleanup_journal struct journal journal = {0};
        cleanup_error struct error first = ERROR_INIT;
        if (read_journal(place, &journal, err) < 0)
            return -1;
        bool again = undo_pass(place, &journal, deadline, &first);
        if (!error_is_set(&first))
            return 0;
        if (!again || deadline_passed(deadline)) {
            error_move(err, &first);
            return -1;
        }
    }
}

/* Undo until nobody has journalled anything since the journal was last read; then nobody can any more. */
static int undo_and_close(const struct run_place *place, struct deadline deadline, struct error *err)
{
    cleanup_free char *mark = text_format(RUN_MARK "=%s/", place->id);
    bool late = true;

    while (late) {
        if (undo_resources(place, deadline, err) < 0)
            return -1;
        off_t size = journal_size(place->directory);
        if (undo_resources(place, deadline, err) < 0) /* what came between the two */
            return -1;
        if (journal_close(place->directory, size, &late, err) < 0)
            return -1;
    }
    return processes_end(mark, true, deadline, err);
}

int undo_run(const struct run_place *place, struct deadline deadline, struct error *err)
{
    if (undo_and_close(place, deadline, err) == 0 && tree_remove(place->directory, deadline, err) == 0)
        return 0;
    cleanup_free char *text = error_text(err);
    cleanup_free char *line = text_format("%s\n", text);
    cleanup_error struct error ignored = ERROR_INIT;
    if (bundle_write(place->directory, UNDO_FAILED_NOTE, line, &ignored) < 0)
        log_debug("no note of the failed undo", LOG_TEXT("run", place->directory));
    return error_wrap(err, "undoing run", place->id);
}
