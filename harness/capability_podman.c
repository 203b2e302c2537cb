/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/capability_podman.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "harness/run.h"

#define GAP_VALID_S 300 /* a gap is remembered too, so that fifty tests do not find it out fifty times */

/* For the life of the process */
static struct podman_answer answer;
static bool answer_known;
static pthread_mutex_t answer_lock = PTHREAD_MUTEX_INITIALIZER;

static void answer_clear(void)
{
    free(answer.version);
    free(answer.program);
    free(answer.runtime_path);
    free(answer.runtime);
    free(answer.gap);
    free(answer.remedy);
    text_list_clear(&answer.refusals);
    answer = (struct podman_answer){0};
}

/* Remembering */

/** The file system that containers will be kept on: that of the nearest directory there is already. */
static uintmax_t runs_file_system(void)
{
    cleanup_free char *path = text_copy(runs_directory());
    struct stat status = {0};

    while (stat(path, &status) < 0 && strchr(path, '/'))
        *strrchr(path, '/') = '\0';
    return status.st_dev;
}

static char *answer_key(void)
{
    cleanup_free char *podman = capability_find_program("podman");
    cleanup_free char *podman_identity = capability_identity(podman);
    cleanup_free char *boot = capability_boot_identity();
    struct text_buffer key = {0};
    struct rlimit limit = {0};

    getrlimit(RLIMIT_NOFILE, &limit);
    text_buffer_format(&key, "1; %s; %s; uid %u; nofile %ju; runs on %ju", boot, podman_identity, geteuid(),
                       (uintmax_t)limit.rlim_max, runs_file_system());
    for (size_t i = 0; i < PODMAN_RUNTIMES; i++) {
        cleanup_free char *path = capability_find_program(podman_runtimes[i]);
        cleanup_free char *identity = capability_identity(path);
        text_buffer_format(&key, "; %s", identity);
    }
    return text_buffer_take(&key);
}

static bool recall_answer(const char *key)
{
    CLEANUP(cJSON_Delete) cJSON *known = capability_recall("podman", key);
    const cJSON *refusal = NULL;

    if (!known)
        return false;
    answer.gap = text_copy(json_text_or(known, "gap", NULL));
    if (answer.gap && time(NULL) - (long)json_number(known, "at") > GAP_VALID_S) {
        answer_clear();
        return false;
    }
    answer.remedy = text_copy(json_text_or(known, "remedy", NULL));
    answer.version = text_copy(json_text_or(known, "version", NULL));
    answer.program = text_copy(json_text_or(known, "program", NULL));
    answer.runtime = text_copy(json_text_or(known, "runtime", NULL));
    answer.runtime_path = text_copy(json_text_or(known, "runtime_path", NULL));
    answer.needs_ulimits = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(known, "needs_ulimits"));
    answer.nofile = (long)json_number(known, "nofile");
    answer.nproc = (long)json_number(known, "nproc");
    cJSON_ArrayForEach(refusal, cJSON_GetObjectItemCaseSensitive(known, "refusals")) {
        if (cJSON_IsString(refusal))
            text_list_add(&answer.refusals, refusal->valuestring);
    }
    if (!answer.gap && !(answer.program && answer.version && answer.runtime && answer.runtime_path)) {
        answer_clear(); /* not something we wrote */
        return false;
    }
    return true;
}

static void remember_answer(const char *key)
{
    cJSON *known = cJSON_CreateObject();

    json_add_text(known, "gap", answer.gap);
    json_add_text(known, "remedy", answer.remedy);
    json_add_text(known, "version", answer.version);
    json_add_text(known, "program", answer.program);
    json_add_text(known, "runtime", answer.runtime);
    json_add_text(known, "runtime_path", answer.runtime_path);
    json_add_boolean(known, "needs_ulimits", answer.needs_ulimits);
    json_add_integer(known, "nofile", answer.nofile);
    json_add_integer(known, "nproc", answer.nproc);
    json_add_integer(known, "at", time(NULL));
    cJSON *refusals = json_add_array(known, "refusals");
    for (size_t i = 0; i < answer.refusals.count; i++)
        cJSON_AddItemToArray(refusals, cJSON_CreateString(answer.refusals.items[i]));
    capability_remember("podman", key, known);
}

/* One process decides; others that ask meanwhile wait for its answer. The lock is held. */
static void find_answer(void)
{
    cleanup_free char *key = answer_key();
    cleanup_free char *lock_path = text_format("%s/podman-probe.lock", cache_directory());
    cleanup_error struct error err = ERROR_INIT;

    if (recall_answer(key))
        return;
    cleanup_close int lock = directory_create(cache_directory(), 0755, &err) < 0
                                 ? -1
                                 : open(lock_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) {
        answer.gap = text_format("the cache %s cannot be written", cache_directory());
        answer.remedy = text_copy("set FLEET_CACHE to a directory that can be written");
    } else if (!recall_answer(key)) {
        podman_decide(&answer);
        remember_answer(key);
    }
}

static void lock_answer(void)
{
    pthread_mutex_lock(&answer_lock);
    if (!answer_known)
        find_answer();
    answer_known = true;
}

int podman_needs_find(struct podman_needs *ret, struct error *err)
{
    int result = 0;

    lock_answer();
    if (answer.gap)
        result = error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding out how to run", "podman",
                           "%s; %s", answer.gap, answer.remedy);
    else
        *ret = (struct podman_needs){
            .program = answer.program,
            .runtime = answer.runtime,
            .runtime_path = answer.runtime_path,
            .needs_ulimits = answer.needs_ulimits,
            .nofile = answer.nofile,
            .nproc = answer.nproc,
        };
    pthread_mutex_unlock(&answer_lock);
    return result;
}

void probe_podman(struct capability_report *ret)
{
    lock_answer();
    if (answer.gap)
        capability_set_gap(ret, text_copy(answer.gap), text_copy(answer.remedy));
    else
        capability_set_found(ret, text_format("podman %s with %s%s", answer.version, answer.runtime,
                                              answer.needs_ulimits ? ", limits set explicitly" : ""));
    pthread_mutex_unlock(&answer_lock);
}

void podman_refusals(struct text_list *ret)
{
    lock_answer();
    for (size_t i = 0; i < answer.refusals.count; i++)
        text_list_add(ret, answer.refusals.items[i]);
    pthread_mutex_unlock(&answer_lock);
}

void capability_forget_gaps(void)
{
    cleanup_free char *path = text_format("%s/answers/podman.json", cache_directory());
    cleanup_free char *key = answer_key();
    cleanup_error struct error ignored = ERROR_INIT;

    pthread_mutex_lock(&answer_lock);
    if (!answer_known)
        answer_known = recall_answer(key);
    if (answer.gap) {
        answer_clear();
        answer_known = false;
        if (file_remove(path, &ignored) < 0)
            error_clear(&ignored);
    }
    pthread_mutex_unlock(&answer_lock);
}
