/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/sanitizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "harness/test.h"

FLEET_TEST(sanitizer, options_of_the_user_are_kept)
{
    cleanup_text_list struct text_list environment = {0};

    CHECK(setenv("ASAN_OPTIONS", "detect_leaks=1", 1) == 0 && unsetenv("LSAN_OPTIONS") == 0, "setenv");
    sanitizer_environment("/run/x/report", &environment);
    CHECK(text_list_contains(&environment, "ASAN_OPTIONS=detect_leaks=1:log_path='/run/x/report'"), "%s",
          environment.items[0]);
    CHECK(text_list_contains(&environment, "LSAN_OPTIONS=log_path='/run/x/report'"), "%s", environment.items[2]);
    return 0;
}

FLEET_TEST(sanitizer, report_is_found_by_its_prefix)
{
    cleanup_free char *prefix = text_format("%s/device.sanitizer", test->artefacts);
    cleanup_free char *others = text_format("%s/device.sanitizers-of-another.7", test->artefacts);
    cleanup_free char *report = text_format("%s.7", prefix);

    TRY(sanitizer_check(prefix, err));
    TRY(file_write_atomic(others, "not ours", 8, 0600, err));
    TRY(sanitizer_check(prefix, err));
    TRY(file_write_atomic(report, "==7==ERROR: heap-use-after-free", 31, 0600, err));
    int result = sanitizer_check(prefix, err);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_FAILED), "result %d", result);
    CHECK(strstr(error_root_detail(err), "heap-use-after-free"), "%s", error_root_detail(err));
    error_clear(err);
    return 0;
}

#ifdef FLEET_SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* A sanitized program (this one) that is told to talk does so where the environment says, and nowhere else. */
FLEET_TEST(sanitizer, environment_reaches_the_sanitizers)
{
    cleanup_free char *prefix = text_format("%s/a program: its.sanitizer", test->artefacts);
    cleanup_text_list struct text_list environment = {0};
    cleanup_process_result struct process_result result = {0};
    static const char *const argv[] = {"/proc/self/exe", "--version", NULL};

    CHECK(setenv("ASAN_OPTIONS", "verbosity=1", 1) == 0, "setenv");
    sanitizer_environment(prefix, &environment);
    struct process_options options = {.argv = argv, .environment = (const char *const *)environment.items};
    TRY(process_run(&options, deadline_in_ms(20000), &result, err));
    bool found = sanitizer_check(prefix, err) < 0;
    CHECK(found == sanitized, "report at %s.*: %d", prefix, found);
    CHECK(!found || strstr(error_root_detail(err), "AddressSanitizer"), "%s", error_root_detail(err));
    error_clear(err);
    return 0;
}
