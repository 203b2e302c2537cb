/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/pod_images_build.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "harness/test.h"

#define NAME      "harmony-fleet-agent"
#define ENTRY     "/harmony-fleet-agent"
#define BUILD_MS  60000
#define WARM_MS   100 /* it takes under 1 */
#define USER_LINE "nonroot:x:65532:65532:"

/* Of the test's own; cache_directory() is a process's for good. Caller frees. */
static char *cache_of(const struct test_context *test)
{
    return text_format("%s/cache", run_directory(test->run));
}

/* A program: any will do. Caller frees it. */
static int begin(struct test_context *test, const char *copied, char **program, struct error *err)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *path = text_format("%s/program", run_directory(run));
    const char *const argv[] = {"cp", copied, path, NULL};
    const struct process_options copy = {.argv = argv};
    TRY(process_run_checked(&copy, deadline_in_ms(BUILD_MS), NULL, err));
    *program = TAKE_PTR(path);
    return 0;
}

static int ensure(const struct test_context *test, const char *program, struct pod_archive *ret, struct error *err)
{
    cleanup_free char *cache = cache_of(test);
    const struct pod_archive_recipe recipe = {cache, NAME, program, false};

    return pod_archive_ensure(&recipe, deadline_in_ms(BUILD_MS), ret, err);
}

/* What is in the archive, unpacked into `directory`, layer over layer. */
static int unpack(const char *archive, const char *directory, struct error *err)
{
    static const char script[] = "mkdir -p \"$2/root\" && tar -xf \"$1\" -C \"$2\" && "
                                 "for layer in \"$2\"/*.tar; do tar -xf \"$layer\" -C \"$2/root\"; done";
    const char *const argv[] = {"sh", "-euc", script, "sh", archive, directory, NULL};
    const struct process_options options = {.argv = argv};

    return process_run_checked(&options, deadline_in_ms(BUILD_MS), NULL, err);
}

FLEET_TEST(pod_images_build, image_has_a_program_that_runs_with_nothing_else, NEEDS(CAPABILITY_ROOT, CAPABILITY_PODMAN))
{
    cleanup_pod_archive struct pod_archive archive = {0};
    cleanup_process_result struct process_result result = {0};
    cleanup_free char *program = NULL;

    TRY(begin(test, "/bin/cat", &program, err));
    TRY(ensure(test, program, &archive, err));
    CHECK(text_starts_with(archive.reference, "localhost/" NAME ":"), "it is called %s", archive.reference);
    cleanup_free char *directory = text_format("%s/unpacked", run_directory(test->run));
    cleanup_free char *root = text_format("%s/root", directory);
    TRY(unpack(archive.path, directory, err));
    const char *const argv[] = {"chroot", "--userspec=65532:65532", root, ENTRY, "/etc/passwd", NULL};
    const struct process_options options = {.argv = argv};
    TRY(process_run_checked(&options, deadline_in_ms(BUILD_MS), &result, err));
    CHECK(text_starts_with(result.output, USER_LINE), "its users: %s", result.output);
    cleanup_free char *shell = text_format("%s/bin", root);
    CHECK(!file_exists(shell), "there is more in it than the program");
    cleanup_free char *configuration = text_format("cat %s/*.json", directory);
    const char *const shown[] = {"sh", "-euc", configuration, NULL};
    const struct process_options show = {.argv = shown};
    process_result_clear(&result);
    TRY(process_run_checked(&show, deadline_in_ms(BUILD_MS), &result, err));
    CHECK(strstr(result.output, "\"User\":\"65532:65532\"") && strstr(result.output, "[\"" ENTRY "\"]"),
          "it is run otherwise: %s", result.output);
    return 0;
}

FLEET_TEST(pod_images_build, same_content_is_built_once, NEEDS(CAPABILITY_ROOT, CAPABILITY_PODMAN))
{
    cleanup_pod_archive struct pod_archive first = {0};
    cleanup_pod_archive struct pod_archive again = {0};
    cleanup_free char *program = NULL;
    struct stat built, found;

    TRY(begin(test, "/bin/cat", &program, err));
    TRY(ensure(test, program, &first, err));
    CHECK(stat(first.path, &built) == 0, "%s: %m", first.path);
    int64_t began_ms = clock_monotonic_ms();
    TRY(ensure(test, program, &again, err));
    int64_t took_ms = clock_monotonic_ms() - began_ms;
    CHECK(text_equal(first.reference, again.reference) && text_equal(first.path, again.path), "%s, then %s", first.path,
          again.path);
    CHECK(took_ms < WARM_MS, "it took %lld ms to find it", (long long)took_ms);
    cleanup_free char *copy = text_format("%s-copy", program);
    const char *const argv[] = {"cp", program, copy, NULL};
    const struct process_options options = {.argv = argv};
    TRY(process_run_checked(&options, deadline_in_ms(BUILD_MS), NULL, err));
    TRY(ensure(test, copy, &again, err)); /* another file */
    CHECK(text_equal(first.path, again.path), "%s, then %s", first.path, again.path);
    CHECK(stat(again.path, &found) == 0 && found.st_ino == built.st_ino, "it was built again");
    cleanup_free char *cache = cache_of(test);
    const struct pod_archive_recipe anew = {cache, NAME, program, .rebuild = true};
    TRY(pod_archive_ensure(&anew, deadline_in_ms(BUILD_MS), &again, err));
    CHECK(text_equal(first.path, again.path), "%s, then %s", first.path, again.path);
    CHECK(stat(again.path, &found) == 0 && found.st_ino != built.st_ino, "it was not built again");
    return 0;
}

/** One of several that want the same image at once. */
struct caller {
    pthread_t thread;
    const struct test_context *test;
    const char *program;
    struct pod_archive archive;
    int result;
    struct error err;
};

static void *call(void *argument)
{
    struct caller *caller = argument;

    caller->result = ensure(caller->test, caller->program, &caller->archive, &caller->err);
    return NULL;
}

FLEET_TEST(pod_images_build, several_at_once_get_the_same_image, NEEDS(CAPABILITY_ROOT, CAPABILITY_PODMAN))
{
    struct caller callers[3] = {0};
    cleanup_free char *program = NULL;
    size_t same = 0;

    TRY(begin(test, "/bin/cat", &program, err));
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        callers[i].test = test;
        callers[i].program = program;
        callers[i].result = -1;
        CHECK(pthread_create(&callers[i].thread, NULL, call, &callers[i]) == 0, "no thread can be started");
    }
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        pthread_join(callers[i].thread, NULL);
        same += callers[i].result == 0 && text_equal(callers[i].archive.path, callers[0].archive.path) &&
                file_exists(callers[i].archive.path);
    }
    for (size_t i = 0; i < ARRAY_SIZE(callers); i++) {
        pod_archive_clear(&callers[i].archive);
        if (error_is_set(&callers[i].err) && !error_is_set(err))
            error_move(err, &callers[i].err);
        error_clear(&callers[i].err);
    }
    if (error_is_set(err))
        return -1;
    CHECK(same == ARRAY_SIZE(callers), "%zu of %zu have it", same, ARRAY_SIZE(callers));
    return 0;
}

FLEET_TEST(pod_images_build, another_program_is_another_image, NEEDS(CAPABILITY_ROOT, CAPABILITY_PODMAN))
{
    cleanup_pod_archive struct pod_archive first = {0};
    cleanup_pod_archive struct pod_archive other = {0};
    cleanup_free char *program = NULL;

    TRY(begin(test, "/bin/cat", &program, err));
    TRY(ensure(test, program, &first, err));
    const char *const argv[] = {"cp", "/bin/true", program, NULL};
    const struct process_options options = {.argv = argv};
    TRY(process_run_checked(&options, deadline_in_ms(BUILD_MS), NULL, err));
    TRY(ensure(test, program, &other, err));
    CHECK(!text_equal(first.reference, other.reference), "both are %s", first.reference);
    CHECK(file_exists(first.path), "the former is gone at once");
    TRY(file_remove(other.path, err)); /* remembered, but gone */
    TRY(ensure(test, program, &other, err));
    CHECK(file_exists(other.path), "%s is not there", other.path);
    return 0;
}

FLEET_TEST(pod_images_build, what_cannot_be_built_is_said, NEEDS(CAPABILITY_ROOT, CAPABILITY_PODMAN))
{
    cleanup_pod_archive struct pod_archive archive = {0};
    cleanup_free char *program = NULL;

    TRY(begin(test, "/bin/cat", &program, err));
    cleanup_free char *cache = cache_of(test);
    const struct pod_archive_recipe unknown = {cache, "no-such-image", program, false};
    CHECK_FAILS(pod_archive_ensure(&unknown, deadline_in_ms(BUILD_MS), &archive, err), process_error_domain,
                PROCESS_EXITED);
    CHECK_FAILS(ensure(test, "/none", &archive, err), process_error_domain, PROCESS_EXITED);
    CHECK(!archive.path, "there is an archive all the same: %s", archive.path);
    return 0;
}
