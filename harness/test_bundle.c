/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/bundle.h"
#include "harness/report.h"
#include "harness/test_frame.h"

static char *bundles_directory(void)
{
    return text_format("%s/bundles", report_directory());
}

char *test_bundle_path(const struct test_definition *definition, pid_t process)
{
    cleanup_free char *bundles = bundles_directory();

    return text_format("%s/%s.%s-%d", bundles, definition->suite, definition->name, process);
}

void test_bundle_write(const char *bundle, const char *failure, const struct timeline *timeline)
{
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *table = timeline ? timeline_table(timeline) : NULL;
    cleanup_free char *line = text_format("%s\n", failure);

    if (directory_create(bundle, 0755, &err) < 0 || bundle_write(bundle, "error.txt", line, &err) < 0 ||
        (table && bundle_write(bundle, "timeline.txt", table, &err) < 0))
        fprintf(stderr, "writing bundle %s: %s\n", bundle, error_root_detail(&err));
}

struct newest {
    char *bundles;
    char *prefix;
    char *path; /* NULL: none */
    struct timespec changed;
};

static int look_at_bundle(void *context, const char *name, struct error *err)
{
    struct newest *newest = context;
    cleanup_free char *path = text_format("%s/%s", newest->bundles, name);
    struct stat status;

    (void)err;
    if (!text_starts_with(name, newest->prefix) || stat(path, &status) < 0)
        return 0;
    if (newest->path &&
        (status.st_mtim.tv_sec < newest->changed.tv_sec ||
         (status.st_mtim.tv_sec == newest->changed.tv_sec && status.st_mtim.tv_nsec < newest->changed.tv_nsec)))
        return 0;
    free(newest->path);
    newest->path = TAKE_PTR(path);
    newest->changed = status.st_mtim;
    return 0;
}

/*
 * A test that was ended by a signal cannot say where its bundle is: Criterion's own process, which saw it end, does.
 * The run's reaper puts the logs there at the same time.
 */
ReportHook(TEST_CRASH)(struct criterion_test_stats *stats)
{
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *bundles = bundles_directory();
    cleanup_free char *prefix = text_format("%s.%s-", stats->test->category, stats->test->name);
    struct newest newest = {.bundles = bundles, .prefix = prefix};

    if (directory_each(bundles, look_at_bundle, &newest, &err) == 0 && newest.path) {
        test_bundle_write(newest.path, "the test was ended by a signal", NULL);
        fprintf(stderr, "bundle: %s\n", newest.path);
    }
    free(newest.path);
}
