/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Criterion glue. A failed cr_assert longjmps out of a test body, and cleanup-attribute locals do not run then; a crash
 * or skip runs no .fini. So a body is a function that returns an error object and owns its fixtures, and the one
 * assertion is in the frame around it, which owns nothing.
 *
 *   FLEET_TEST(ping, is_answered, NEEDS(CAPABILITY_NATS_SERVER))
 *   {
 *       CLEANUP(host_stack_free) struct host_stack *stack = NULL;
 *       if (host_stack_shared(test, &stack, err) < 0)
 *           return -1;
 *       …
 *       CHECK(reply->uptime_s >= 0, "uptime is %" PRId64, reply->uptime_s);
 *       return 0;
 *   }
 *
 * CMake finds FLEET_TEST lines and makes each a CTest test `suite.name` (cmake/FleetTest.cmake). Keep the macro, suite
 * and name on one line.
 */

#include <criterion/criterion.h>
#include <stdbool.h>

#include "base/error.h"
#include "harness/capability.h"
#include "harness/phase.h"
#include "harness/run.h"

extern const struct error_domain check_error_domain; /* code 1: a CHECK that did not hold */

struct test_context {
    const char *suite;
    const char *name;
    struct timeline *timeline;
    const char *artefacts; /**< directory that becomes the failure bundle; removed when the test passes */
    struct run *run;       /**< made by test_run() */
    /**
     * Set by a fixture, unset by it when it goes: called at the first check (CHECK, TRY, CHECK_FAILS) that does not
     * hold, while the body's fixtures are up, to write what explains the failure into `directory`.
     */
    void (*collect)(void *context, const char *directory);
    void *collect_context;
};

typedef int (*test_body)(struct test_context *test, struct error *err);

struct test_definition {
    const char *suite;
    const char *name;
    test_body body;
    const char *gate;   /**< "host", "pod", "vm", or NULL: always on */
    const char *opt_in; /**< an environment variable without which being "1" it is skipped, required or not */
    enum capability needs[CAPABILITY_COUNT];
    int needs_count;
};

/**
 * The outer frame: gate and capabilities (skip, or failure when FLEET_E2E_REQUIRE has the gate), timeline, body, bundle
 * on failure, the run's end. Returns NULL when it passed or was skipped (*skipped), else the text to assert with.
 * Caller frees.
 */
char *test_execute(const struct test_definition *definition, bool *skipped);

/** The run of this test (started at the first call); everything journalled in it is undone when the test ends. */
MUST_CHECK int test_run(struct test_context *test, struct run **ret, struct error *err);

#define NEEDS(...) .needs = {__VA_ARGS__}, .needs_count = sizeof((enum capability[]){__VA_ARGS__}) / sizeof(int)

#define FLEET_TEST(suite_, name_, ...)                                                                                 \
    static int suite_##_##name_##_body(struct test_context *test, struct error *err);                                  \
    Test(suite_, name_)                                                                                                \
    {                                                                                                                  \
        static const struct test_definition definition = {                                                             \
            .suite = #suite_, .name = #name_, .body = suite_##_##name_##_body, ##__VA_ARGS__};                         \
        static char *failure; /* static: reachable for LeakSanitizer after the assertion's longjmp */                  \
        bool skipped = false;                                                                                          \
        failure = test_execute(&definition, &skipped);                                                                 \
        if (skipped)                                                                                                   \
            cr_skip_test("skipped");                                                                                   \
        cr_assert(failure == NULL, "%s", failure ? failure : "");                                                      \
    }                                                                                                                  \
    static int suite_##_##name_##_body(struct test_context *test __attribute__((unused)),                              \
                                       struct error *err __attribute__((unused)))

/** In a body: unless `condition` holds, return -1 with an error that says file, line and the printf'd explanation. */
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            test_check_failed(err, __FILE__, __LINE__, #condition, __VA_ARGS__);                                       \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)
/** In a body: the call must succeed. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) < 0) {                                                                                              \
            test_call_failed(err, __FILE__, __LINE__, #call);                                                          \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)
/** In a body: the call must fail with this domain and code; the error is consumed. */
#define CHECK_FAILS(call, domain_, code_)                                                                              \
    do {                                                                                                               \
        if (test_expect_failure((call), err, &(domain_), (code_), __FILE__, __LINE__, #call) < 0)                      \
            return -1;                                                                                                 \
    } while (0)

/** What the macros above call; they set *err, let the fixtures be looked at and return -1. */
int test_check_failed(struct error *err, const char *file, int line, const char *condition, const char *format, ...)
    PRINTF_LIKE(5, 6);
int test_call_failed(struct error *err, const char *file, int line, const char *call);
int test_expect_failure(int result, struct error *err, const struct error_domain *domain, int code, const char *file,
                        int line, const char *call);
