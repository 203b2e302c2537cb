/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "harness/report_model.h"

#define KEPT_FILE "kept.txt"

const char *report_directory(void)
{
    const char *chosen = getenv("FLEET_E2E_REPORT");

    return chosen && *chosen ? chosen : "./fleet-e2e-report";
}

static int write_page(const char *directory, const char *name, const struct text_buffer *content, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);

    return file_write_atomic(path, text_buffer_text(content), content->size, 0644, err);
}

int report_write(const char *directory, FILE *out, int *failed, struct error *err)
{
    cleanup_report struct report report = {0};
    cleanup_text_buffer struct text_buffer junit = {0};
    cleanup_text_buffer struct text_buffer html = {0};

    if (report_read(directory, &report, err) < 0)
        return -1;
    report_render_table(&report, out);
    report_render_junit(&report, &junit);
    report_render_html(&report, &html);
    if (write_page(directory, "junit.xml", &junit, err) < 0 || write_page(directory, "report.html", &html, err) < 0)
        return error_wrap(err, "writing the report", directory);
    fprintf(out, "report: %s/report.html\njunit:  %s/junit.xml\n", directory, directory);
    if (failed)
        *failed = report.counts[RESULT_FAILED] + report.counts[RESULT_CRASHED];
    return 0;
}

int report_clear(const char *directory, struct error *err)
{
    static const char *const files[] = {"junit.xml", "report.html", KEPT_FILE};
    static const char *const directories[] = {"records", "bundles"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *path = text_format("%s/%s", directory, files[i]);
        if (file_remove(path, err) < 0)
            return error_wrap(err, "clearing the report", directory);
    }
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
        cleanup_free char *path = text_format("%s/%s", directory, directories[i]);
        if (directory_remove(path, err) < 0)
            return error_wrap(err, "clearing the report", directory);
    }
    return 0;
}

void report_kept(const char *text)
{
    cleanup_free char *path = text_format("%s/" KEPT_FILE, report_directory());
    cleanup_error struct error err = ERROR_INIT;

    fputs(text, stdout);
    fflush(stdout);
    FILE *file = directory_create(report_directory(), 0755, &err) < 0 ? NULL : fopen(path, "ae");
    if (!file)
        return;
    fputs(text, file);
    fclose(file);
}
