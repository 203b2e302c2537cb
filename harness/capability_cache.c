/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "harness/capability_probe.h"

#define ANSWER_MAX (64u << 10)
#define VERSION_MS 30000 /* generous: the first start of a large program on a busy machine */

static char *answer_path(const char *name)
{
    return text_format("%s/answers/%s.json", cache_directory(), name);
}

cJSON *capability_recall(const char *name, const char *key)
{
    cleanup_free char *path = answer_path(name);
    cleanup_free char *data = NULL;
    cleanup_error struct error unreadable = ERROR_INIT;
    CLEANUP(cJSON_Delete) cJSON *document = NULL;
    size_t size = 0;

    if (file_read(path, ANSWER_MAX, &data, &size, &unreadable) < 0 ||
        json_parse(data, size, &document, &unreadable) < 0)
        return NULL;
    if (!text_equal(json_text_or(document, "key", NULL), key))
        return NULL;
    return cJSON_DetachItemFromObjectCaseSensitive(document, "answer");
}

void capability_remember(const char *name, const char *key, cJSON *answer)
{
    cleanup_free char *path = answer_path(name);
    cleanup_free char *directory = text_format("%s/answers", cache_directory());
    cleanup_error struct error err = ERROR_INIT;
    CLEANUP(cJSON_Delete) cJSON *document = cJSON_CreateObject();

    json_add_text(document, "key", key);
    cJSON_AddItemToObject(document, "answer", answer);
    cleanup_free char *text = json_print(document);
    if (directory_create(directory, 0755, &err) < 0 || file_write_atomic(path, text, strlen(text), 0644, &err) < 0)
        log_debug("a probe's answer cannot be remembered", LOG_TEXT("path", path),
                  LOG_TEXT("why", error_root_detail(&err)));
}

char *capability_ask_version(const char *program, const char *before)
{
    const char *const argv[] = {program, "--version", NULL};
    const struct process_options options = {.argv = argv};
    cleanup_process_result struct process_result result = {0};
    cleanup_error struct error broken = ERROR_INIT;

    if (process_run_checked(&options, deadline_in_ms(VERSION_MS), &result, &broken) < 0)
        return NULL;
    const char *found = strstr(result.output, before);
    if (!found)
        return NULL;
    found += strlen(before);
    return text_copy_n(found, strcspn(found, " \n"));
}

char *capability_identity(const char *path)
{
    struct stat status;

    if (!path || stat(path, &status) < 0)
        return text_format("%s absent", path ? path : "-");
    return text_format("%s %" PRIdMAX " %" PRIdMAX ".%09ld %" PRIuMAX, path, (intmax_t)status.st_size,
                       (intmax_t)status.st_mtim.tv_sec, status.st_mtim.tv_nsec, (uintmax_t)status.st_ino);
}

char *capability_boot_identity(void)
{
    cleanup_free char *boot = NULL;
    cleanup_error struct error unknown = ERROR_INIT;
    struct utsname kernel;
    size_t size = 0;

    if (file_read("/proc/sys/kernel/random/boot_id", 256, &boot, &size, &unknown) < 0)
        boot = text_copy("unknown");
    boot[strcspn(boot, "\n")] = '\0';
    return text_format("%s %s", boot, uname(&kernel) == 0 ? kernel.release : "unknown");
}
