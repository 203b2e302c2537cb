/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/phase.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "harness/phase_model.h"
#include "harness/report_text.h"

const char *test_result_name(enum test_result result)
{
    switch (result) {
    case RESULT_RUNNING:
        return "running";
    case RESULT_PASSED:
        return "passed";
    case RESULT_FAILED:
        return "failed";
    case RESULT_SKIPPED:
        return "skipped";
    case RESULT_CRASHED:
        return "crashed";
    }
    return "unknown";
}

int64_t timeline_now_us(const struct timeline *timeline)
{
    return clock_monotonic_us() - timeline->start_us;
}

/* The record */

static void record_phases(cJSON *object, const struct phase *first)
{
    if (!first)
        return;

    cJSON *array = json_add_array(object, "phases");
    for (const struct phase *phase = first; phase; phase = phase->next) {
        cJSON *entry = json_add_object(array, NULL);
        json_add_text(entry, "name", phase->name);
        json_add_integer(entry, "begin_us", phase->begin_us);
        if (phase->duration_us >= 0)
            json_add_integer(entry, "duration_us", phase->duration_us);
        json_add_text(entry, "failure", phase->failure);
        record_phases(entry, phase->first_child);
    }
}

static char *record_render(const struct timeline *timeline)
{
    CLEANUP(cJSON_Delete) cJSON *record = cJSON_CreateObject();

    json_add_text(record, "suite", timeline->suite);
    json_add_text(record, "name", timeline->name);
    json_add_text(record, "started", timeline->started);
    json_add_integer(record, "started_ms", timeline->started_ms);
    json_add_integer(record, "process", getpid());
    json_add_text(record, "result", test_result_name(timeline->result));
    json_add_integer(record, "updated_us", timeline->finish_us >= 0 ? timeline->finish_us : timeline_now_us(timeline));
    json_add_text(record, "message", timeline->message);
    json_add_text(record, "bundle", timeline->bundle);
    record_phases(record, timeline->first);
    return json_print(record);
}

static char *record_spare(const char *path)
{
    return text_format("%s.spare", path);
}

/*
 * The new record is written beside the old one and the two change places, so that a reader never sees half a record
 * and a crash leaves the last whole one. Not file_write_atomic: the record has to outlive this process, not a power
 * cut, and syncs would be most of what a bring-up takes. For the same reason nothing is truncated to nothing or renamed
 * over: ext4 answers both by allocating and flushing at once (auto_da_alloc).
 */
static int record_replace(const char *path, const char *data, struct error *err)
{
    cleanup_free char *spare = record_spare(path);
    cleanup_close int fd = open(spare, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    size_t size = strlen(data);

    if (fd < 0 || file_write_all(fd, data, size) < 0 || ftruncate(fd, (off_t)size) < 0)
        return error_set_errno(err, errno, "writing test record", spare);
    if (renameat2(AT_FDCWD, spare, AT_FDCWD, path, RENAME_EXCHANGE) < 0 && rename(spare, path) < 0)
        return error_set_errno(err, errno, "replacing test record", path);
    return 0;
}

/* A record that cannot be written must not stop what is being measured: timeline_finish reports it. */
static void record_write(struct timeline *timeline)
{
    if (!timeline->record_path || error_is_set(&timeline->record_error))
        return;

    cleanup_free char *text = record_render(timeline);
    if (record_replace(timeline->record_path, text, &timeline->record_error) < 0)
        return;
}

static void record_remove_spare(const struct timeline *timeline)
{
    cleanup_free char *spare = timeline->record_path ? record_spare(timeline->record_path) : NULL;

    if (spare)
        unlink(spare); /* one that stays is not taken for a record */
}

/* Timelines */

static int make_parent_directory(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return 0;
    cleanup_free char *directory = text_copy_n(path, (size_t)(slash - path));
    return directory_create(directory, 0755, err);
}

int timeline_new(const char *suite, const char *name, const char *record_path, struct timeline **ret, struct error *err)
{
    if (record_path && make_parent_directory(record_path, err) < 0)
        return error_wrap(err, "starting timeline", name);

    CLEANUP(timeline_free) struct timeline *timeline = NEW(struct timeline);
    char now[RFC3339_SIZE];
    struct timespec wall;
    clock_rfc3339(now);
    clock_gettime(CLOCK_REALTIME, &wall);
    pthread_mutex_init(&timeline->lock, NULL);
    timeline->suite = text_copy(suite ? suite : "");
    timeline->name = text_copy(name ? name : "");
    timeline->record_path = text_copy(record_path);
    timeline->started = text_copy(now);
    timeline->started_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
    timeline->start_us = clock_monotonic_us();
    timeline->finish_us = -1;
    timeline->display = phase_display_new(timeline);
    record_write(timeline);
    if (error_is_set(&timeline->record_error)) {
        error_move(err, &timeline->record_error);
        return error_wrap(err, "starting timeline", name);
    }
    *ret = TAKE_PTR(timeline);
    return 0;
}

static void phases_free(struct phase *first)
{
    while (first) {
        struct phase *next = first->next;
        phases_free(first->first_child);
        free(first->name);
        free(first->failure);
        free(first);
        first = next;
    }
}

void timeline_free(struct timeline *timeline)
{
    if (!timeline)
        return;
    phase_display_free(timeline->display);
    phases_free(timeline->first);
    pthread_mutex_destroy(&timeline->lock);
    error_clear(&timeline->record_error);
    free(timeline->suite);
    free(timeline->name);
    free(timeline->record_path);
    free(timeline->started);
    free(timeline->message);
    free(timeline->bundle);
    free(timeline);
}

/* Phases */

char *phase_path(const struct phase *phase)
{
    if (!phase->parent)
        return text_copy(phase->name);
    cleanup_free char *parent = phase_path(phase->parent);
    return text_format("%s / %s", parent, phase->name);
}

static void phase_link(struct timeline *timeline, struct phase *phase)
{
    struct phase **first = phase->parent ? &phase->parent->first_child : &timeline->first;
    struct phase **last = phase->parent ? &phase->parent->last_child : &timeline->last;

    if (*last)
        (*last)->next = phase;
    else
        *first = phase;
    *last = phase;
}

/* One that has begun, inside the open one. The lock is held. */
static struct phase *phase_new(struct timeline *timeline, const char *name, int64_t begin_us)
{
    struct phase *phase = NEW(struct phase);

    phase->timeline = timeline;
    phase->parent = timeline->open;
    phase->depth = phase->parent ? phase->parent->depth + 1 : 0;
    phase->name = text_copy(name);
    phase->begin_us = begin_us;
    phase->duration_us = -1;
    phase_link(timeline, phase);
    return phase;
}

void phase_add(struct timeline *timeline, const char *name, int64_t began_us, int64_t ended_us, const char *failure)
{
    if (!timeline)
        return;

    pthread_mutex_lock(&timeline->lock);
    struct phase *phase = phase_new(timeline, name, began_us - timeline->start_us);
    phase->duration_us = ended_us - began_us;
    phase->failure = text_copy(failure);
    phase_display_begin(timeline->display, phase);
    phase_display_end(timeline->display, phase);
    record_write(timeline);
    pthread_mutex_unlock(&timeline->lock);
}

struct phase *phase_begin(struct timeline *timeline, const char *name)
{
    if (!timeline)
        return NULL;

    pthread_mutex_lock(&timeline->lock);
    struct phase *phase = phase_new(timeline, name, timeline_now_us(timeline));
    timeline->open = phase;
    phase_display_begin(timeline->display, phase);
    record_write(timeline);
    pthread_mutex_unlock(&timeline->lock);
    return phase;
}

/* End every open phase down to and including `phase`; `failure` NULL: well. The lock is held. */
static void phase_close(struct phase *phase, const char *failure)
{
    struct timeline *timeline = phase->timeline;
    int64_t now_us = timeline_now_us(timeline);
    bool last = false;

    while (timeline->open && !last) {
        struct phase *ended = timeline->open;
        last = ended == phase;
        ended->duration_us = now_us - ended->begin_us;
        ended->failure = text_copy(failure);
        timeline->open = ended->parent;
        phase_display_end(timeline->display, ended);
    }
}

void phase_end(struct phase *phase, const struct error *err)
{
    if (!phase || phase->duration_us >= 0)
        return;

    struct timeline *timeline = phase->timeline;
    cleanup_free char *failure = err && error_is_set(err) ? error_text(err) : NULL;
    pthread_mutex_lock(&timeline->lock);
    phase_close(phase, failure);
    record_write(timeline);
    pthread_mutex_unlock(&timeline->lock);
}

int64_t phase_ms(const struct phase *phase)
{
    if (!phase)
        return 0;
    if (phase->duration_us >= 0)
        return phase->duration_us / 1000;
    return (timeline_now_us(phase->timeline) - phase->begin_us) / 1000;
}

int timeline_finish(struct timeline *timeline, enum test_result result, const char *message, const char *bundle,
                    struct error *err)
{
    bool failed = result == RESULT_FAILED || result == RESULT_CRASHED;

    pthread_mutex_lock(&timeline->lock);
    while (timeline->open) /* left open by a body that returned early: that is where it failed */
        phase_close(timeline->open, failed ? (message ? message : "") : NULL);
    timeline->result = result;
    timeline->finish_us = timeline_now_us(timeline);
    free(timeline->message);
    free(timeline->bundle);
    timeline->message = text_copy(message);
    timeline->bundle = text_copy(bundle);
    record_write(timeline);
    record_remove_spare(timeline);
    pthread_mutex_unlock(&timeline->lock);
    if (error_is_set(&timeline->record_error)) {
        error_move(err, &timeline->record_error);
        return error_wrap(err, "finishing timeline", timeline->name);
    }
    return 0;
}

/* The table */

static size_t table_width(const struct phase *first)
{
    size_t width = 0;

    for (const struct phase *phase = first; phase; phase = phase->next) {
        size_t own = 2 * (size_t)phase->depth + text_columns(phase->name);
        size_t inner = table_width(phase->first_child);
        width = own > width ? own : width;
        width = inner > width ? inner : width;
    }
    return width;
}

static void table_rows(struct text_buffer *table, const struct phase *first, size_t width)
{
    for (const struct phase *phase = first; phase; phase = phase->next) {
        size_t indent = 2 * (size_t)phase->depth;
        int padding = (int)(width - indent - text_columns(phase->name));
        text_buffer_format(table, "%*s%s%*s  %9" PRId64 "%s\n", (int)indent, "", phase->name, padding, "",
                           phase_ms(phase),
                           phase->failure           ? "  failed"
                           : phase->duration_us < 0 ? "  unfinished"
                                                    : "");
        table_rows(table, phase->first_child, width);
    }
}

char *timeline_table(const struct timeline *timeline)
{
    struct text_buffer table = {0};
    size_t width = table_width(timeline->first);
    int64_t total_us = timeline->finish_us >= 0 ? timeline->finish_us : timeline_now_us(timeline);

    if (width < strlen("total"))
        width = strlen("total");
    text_buffer_format(&table, "%-*s  %9s\n", (int)width, "phase", "ms");
    table_rows(&table, timeline->first, width);
    text_buffer_format(&table, "%-*s  %9" PRId64 "\n", (int)width, "total", total_us / 1000);
    return text_buffer_take(&table);
}
