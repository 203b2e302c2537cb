/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/test.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test_frame.h"

FLEET_TEST(harness_test, passes)
{
    CHECK(test->timeline != NULL, "no timeline");
    return 0;
}

static int fail(int result, struct error *err)
{
    return result < 0 ? error_set(err, &general_error_domain, GENERAL_INVALID, "failing", NULL, "as told") : 0;
}

FLEET_TEST(harness_test, an_expected_failure_is_consumed)
{
    CHECK_FAILS(fail(-1, err), general_error_domain, GENERAL_INVALID);
    CHECK(!error_is_set(err), "the error is still set");
    TRY(fail(0, err));
    return 0;
}

FLEET_TEST(harness_test, an_error_left_over_is_shown_with_the_check)
{
    error_set(err, &general_error_domain, GENERAL_INVALID, "failing", NULL, "as told");
    test_check_failed(err, "file.c", 7, "condition", "explained %d", 1);
    cleanup_free char *text = error_text(err);
    error_clear(err);
    CHECK(text_equal(text, "file.c:7: explained 1 (condition); error: failing: as told"), "text is %s", text);
    return 0;
}

FLEET_TEST(harness_test, another_failure_is_not_the_expected_one)
{
    struct error *failure = err;

    int result =
        test_expect_failure(fail(-1, failure), failure, &general_error_domain, GENERAL_TIMEOUT, "file.c", 7, "call()");
    bool is_check = error_is(failure, &check_error_domain, 1);
    error_clear(failure);
    CHECK(result < 0 && is_check, "an unexpected failure was taken for the expected one");
    result = test_expect_failure(0, failure, &general_error_domain, GENERAL_TIMEOUT, "file.c", 7, "call()");
    is_check = error_is(failure, &check_error_domain, 1);
    error_clear(failure);
    CHECK(result < 0 && is_check, "a success was taken for a failure");
    return 0;
}

static int calls;

static void collect(void *context, const char *directory)
{
    const char *const *name = context;
    cleanup_error struct error err = ERROR_INIT;
    cleanup_free char *path = text_format("%s/%s", directory, *name);

    calls++;
    if (file_write_atomic(path, "seen", 4, 0600, &err) < 0)
        calls = -1;
}

FLEET_TEST(harness_test, the_first_check_that_does_not_hold_collects)
{
    cleanup_free char *path = text_format("%s/state.txt", test->artefacts);
    const char *name = "state.txt";

    test->collect = collect;
    test->collect_context = &name;
    test_check_failed(err, "file.c", 7, "condition", "first");
    error_clear(err);
    test_check_failed(err, "file.c", 8, "condition", "second");
    error_clear(err);
    test->collect = NULL;
    CHECK(calls == 1, "collected %d times", calls);
    CHECK(file_exists(path), "%s is missing", path);
    return 0;
}

FLEET_TEST(harness_test, one_run_serves_a_test)
{
    struct run *first = NULL;
    struct run *second = NULL;

    TRY(test_run(test, &first, err));
    TRY(test_run(test, &second, err));
    CHECK(first == second && file_exists(run_directory(first)), "a second run was made");
    return 0;
}

static int check_gap(const char *gate, const char *expected, struct error *err)
{
    const struct test_definition definition = {.suite = "suite", .name = "name", .gate = gate};
    cleanup_free char *gap = test_find_gap(&definition);

    CHECK(text_equal(gap, expected), "gate %s: %s", gate ? gate : "none", gap ? gap : "no gap");
    return 0;
}

FLEET_TEST(harness_test, gates_open_by_their_variable)
{
    unsetenv("FLEET_E2E_REQUIRE");
    unsetenv("HARMONY_FLEET_E2E");
    setenv("HARMONY_FLEET_VM_E2E", "0", 1);
    TRY(check_gap(NULL, NULL, err));
    TRY(check_gap("host", NULL, err));
    TRY(check_gap("pod", "gate pod: it is closed — set HARMONY_FLEET_E2E=1", err));
    TRY(check_gap("vm", "gate vm: it is closed — set HARMONY_FLEET_VM_E2E=1", err));
    TRY(check_gap("pods", "gate pods: there is no such gate — use host, pod or vm", err));
    setenv("HARMONY_FLEET_E2E", "1", 1);
    setenv("HARMONY_FLEET_VM_E2E", "1", 1);
    TRY(check_gap("pod", NULL, err));
    TRY(check_gap("vm", NULL, err));
    return 0;
}

/* What is required is not skipped because nobody opened its gate as well. */
FLEET_TEST(harness_test, gates_open_to_who_requires_them)
{
    unsetenv("HARMONY_FLEET_E2E");
    unsetenv("HARMONY_FLEET_VM_E2E");
    setenv("FLEET_E2E_REQUIRE", "host,vm", 1);
    TRY(check_gap("vm", NULL, err));
    return check_gap("pod", "gate pod: it is closed — set HARMONY_FLEET_E2E=1", err);
}

/* What takes minutes is skipped, by name, unless it was asked for itself: requiring its gate is not enough. */
FLEET_TEST(harness_test, opt_in_is_more_than_a_gate)
{
    const struct test_definition definition = {.suite = "suite", .name = "name", .gate = "vm", .opt_in = "OPT_IN"};

    setenv("FLEET_E2E_REQUIRE", "vm", 1);
    unsetenv("OPT_IN");
    cleanup_free char *gap = test_find_gap(&definition);
    CHECK(text_equal(gap, "it takes minutes — set OPT_IN=1"), "the gap is %s", gap);
    CHECK(!test_is_required(&definition), "required though nobody asked for it");
    setenv("OPT_IN", "1", 1);
    cleanup_free char *no_gap = test_find_gap(&definition);
    CHECK(no_gap == NULL, "the gap is %s", no_gap);
    CHECK(test_is_required(&definition), "not required though it was asked for");
    return 0;
}

FLEET_TEST(harness_test, names_what_is_required)
{
    const struct test_definition pod = {.suite = "suite", .name = "name", .gate = "pod"};
    const struct test_definition none = {.suite = "suite", .name = "name"};

    unsetenv("FLEET_E2E_REQUIRE");
    CHECK(!test_is_required(&pod) && !test_is_required(&none), "required without being asked for");
    setenv("FLEET_E2E_REQUIRE", "", 1);
    CHECK(!test_is_required(&pod) && !test_is_required(&none), "required by an empty list");
    setenv("FLEET_E2E_REQUIRE", "podman,host", 1);
    CHECK(!test_is_required(&pod) && test_is_required(&none), "a gate was taken for another");
    setenv("FLEET_E2E_REQUIRE", "vm,pod", 1);
    CHECK(test_is_required(&pod) && !test_is_required(&none), "the list was not read to its end");
    return 0;
}
