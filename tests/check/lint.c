/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check/lint.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

#define WORKERS_MAX  16
#define LINT_TIME_MS 600000 /* one source, on a busy machine */

struct lint_work {
    const struct source_tree *tree;
    const struct lint_units *units;
    const char *cache;
    char *seed; /**< version and configuration of clang-tidy, part of every hash */
    pthread_mutex_t lock;
    /* below: guarded by lock */
    size_t next;
    struct lint_counts *counts;
    struct text_list *complaints;
    struct error failure; /**< the first that is no complaint; ends the work */
};

/* FNV-1a, 64 bits: tells apart a few hundred texts of our own making; nobody gains by a collision. */
static uint64_t hash_add(uint64_t hash, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

static void add_unit_arguments(const struct lint_unit *unit, struct text_list *argv)
{
    for (size_t i = 0; i < unit->arguments.count; i++)
        text_list_add(argv, unit->arguments.items[i]);
}

/* What the compiler makes of the source, comments kept (some speak to clang-tidy), places left out (check-outs move). */
static int preprocess(const struct lint_unit *unit, const char *source, struct process_result *ret, struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    text_list_add(&argv, unit->compiler);
    add_unit_arguments(unit, &argv);
    static const char *const fixed[] = {"-E", "-C", "-P", "-w"};
    for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
        text_list_add(&argv, fixed[i]);
    text_list_add(&argv, source);
    struct process_options options = {.argv = (const char *const *)argv.items, .directory = unit->directory};
    return process_run_checked(&options, deadline_in_ms(LINT_TIME_MS), ret, err);
}

/* Name of the file that remembers that this very input was clean. Caller frees *ret. */
static int memory_path(const struct lint_work *work, const struct lint_unit *unit, const char *source, char **ret,
                       struct error *err)
{
    cleanup_process_result struct process_result preprocessed = {0};
    cleanup_free char *text = NULL;
    size_t size = 0;
    if (file_read(source, SIZE_MAX - 1, &text, &size, err) < 0 || preprocess(unit, source, &preprocessed, err) < 0)
        return -1;
    uint64_t hash = hash_add(UINT64_C(0xcbf29ce484222325), work->seed, strlen(work->seed));
    hash = hash_add(hash, unit->path, strlen(unit->path));
    hash = hash_add(hash, text, size);
    hash = hash_add(hash, preprocessed.output, preprocessed.output_size);
    *ret = text_format("%s/%016" PRIx64, work->cache, hash);
    return 0;
}

/* Diagnostics come as "<root>/path:line:column: error: …"; their notes and quoted code are left out. */
static void take_diagnostics(const struct lint_work *work, char *output, struct text_list *complaints)
{
    size_t root_length = strlen(work->tree->root);
    for (struct line_walk walk = line_walk_start(output); line_walk_next(&walk);) {
        if (!strstr(walk.line, ": error: ") && !strstr(walk.line, ": warning: "))
            continue;
        bool ours = text_starts_with(walk.line, work->tree->root) && walk.line[root_length] == '/';
        const char *line = ours ? walk.line + root_length + 1 : walk.line;
        if (!text_list_contains(complaints, line)) /* a header's is found by every source */
            text_list_add(complaints, line);
    }
}

static int run_clang_tidy(const struct lint_unit *unit, const char *source, struct process_result *ret,
                          struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    text_list_add(&argv, "clang-tidy");
    text_list_add(&argv, "--quiet");
    text_list_add(&argv, source);
    text_list_add(&argv, "--");
    add_unit_arguments(unit, &argv);
    struct process_options options = {.argv = (const char *const *)argv.items, .directory = unit->directory};
    return process_run(&options, deadline_in_ms(LINT_TIME_MS), ret, err);
}

static int lint_unit(struct lint_work *work, const struct lint_unit *unit, struct error *err)
{
    cleanup_free char *source = source_tree_path(work->tree, unit->path);
    cleanup_free char *memory = NULL;
    if (memory_path(work, unit, source, &memory, err) < 0)
        return error_wrap(err, "preprocessing", unit->path);
    bool remembered = file_exists(memory);
    cleanup_process_result struct process_result result = {0};
    if (!remembered && run_clang_tidy(unit, source, &result, err) < 0)
        return error_wrap(err, "linting with clang-tidy (scripts/setup installs it)", unit->path);
    bool clean = remembered || result.exit_code == 0;
    if (clean && !remembered && file_write_atomic(memory, "", 0, 0600, err) < 0)
        return -1;
    pthread_mutex_lock(&work->lock);
    size_t before = work->complaints->count;
    work->counts->remembered += remembered;
    work->counts->linted += !remembered;
    if (!clean)
        take_diagnostics(work, result.output, work->complaints);
    bool unexplained = !clean && work->complaints->count == before && !strstr(result.output, "error: ");
    pthread_mutex_unlock(&work->lock);
    if (unexplained)
        return error_set(err, &general_error_domain, GENERAL_FAILED, "linting with clang-tidy", unit->path, "%s",
                         result.errors);
    return 0;
}

static const struct lint_unit *take_next(struct lint_work *work)
{
    pthread_mutex_lock(&work->lock);
    const struct lint_unit *unit = NULL;
    if (!error_is_set(&work->failure) && work->next < work->units->count)
        unit = &work->units->items[work->next++];
    pthread_mutex_unlock(&work->lock);
    return unit;
}

static void *worker(void *context)
{
    struct lint_work *work = context;
    for (const struct lint_unit *unit; (unit = take_next(work));) {
        cleanup_error struct error err = ERROR_INIT;
        if (lint_unit(work, unit, &err) == 0)
            continue;
        pthread_mutex_lock(&work->lock);
        if (!error_is_set(&work->failure))
            error_move(&work->failure, &err);
        pthread_mutex_unlock(&work->lock);
    }
    return NULL;
}

static void run_workers(struct lint_work *work)
{
    pthread_t threads[WORKERS_MAX];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int wanted = processors < 1 ? 1 : processors > WORKERS_MAX ? WORKERS_MAX : (int)processors;
    int started = 0;
    while (started < wanted && pthread_create(&threads[started], NULL, worker, work) == 0)
        started++;
    if (started == 0)
        worker(work);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Version and configuration. Caller frees *ret. */
static int find_seed(const struct source_tree *tree, char **ret, struct error *err)
{
    const char *const argv[] = {"clang-tidy", "--version", NULL};
    struct process_options options = {.argv = argv};
    cleanup_process_result struct process_result version = {0};
    cleanup_free char *configuration = NULL;
    if (process_run_checked(&options, deadline_in_ms(30000), &version, err) < 0)
        return error_wrap(err, "asking clang-tidy for its version (scripts/setup installs it)", NULL);
    if (source_tree_read(tree, ".clang-tidy", &configuration, err) < 0)
        return -1;
    *ret = text_format("%s%s", version.output, configuration);
    return 0;
}

int lint_run(const struct source_tree *tree, const struct lint_units *units, const char *cache,
             struct lint_counts *counts, struct text_list *complaints, struct error *err)
{
    cleanup_free char *seed = NULL;
    if (directory_create(cache, 0700, err) < 0 || find_seed(tree, &seed, err) < 0)
        return -1;
    *counts = (struct lint_counts){0};
    struct lint_work work = {.tree = tree,
                             .units = units,
                             .cache = cache,
                             .seed = seed,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .counts = counts,
                             .complaints = complaints};
    run_workers(&work);
    pthread_mutex_destroy(&work.lock);
    if (complaints->count > 0)
        qsort(complaints->items, complaints->count, sizeof(char *), compare_text);
    if (error_is_set(&work.failure)) {
        error_move(err, &work.failure);
        return -1;
    }
    return 0;
}
