/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service_watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/test.h"

static char name[] = "web";
static char id[] = "c1";
static char status[] = "as it is";

static const struct container_spec always = {.name = name, .restart_policy = RESTART_ALWAYS};
static const struct container_spec once = {.name = name, .restart_policy = RESTART_NO};
static const struct container_spec on_failure = {.name = name, .restart_policy = RESTART_ON_FAILURE};

static struct observed_container observed(enum observed_state state, int exit_code)
{
    return (struct observed_container){.id = id, .status = status, .state = state, .exit_code = exit_code};
}

/** The verdict at `now_ms`; *look_again may be NULL. */
static enum service_verdict verdict(struct service_watch *watch, const struct container_spec *spec,
                                    struct observed_container container, int64_t now_ms, int64_t *look_again)
{
    struct service_finding finding;

    service_watch_judge(watch, spec, &container, now_ms, &finding);
    free(finding.reason);
    if (look_again)
        *look_again = finding.look_again_ms;
    return finding.verdict;
}

FLEET_TEST(service_watch, only_what_was_compared_is_well)
{
    struct service_watch watch = {0};
    struct service_finding finding;

    service_watch_judge(&watch, &always, NULL, 1, &finding);
    free(finding.reason);
    CHECK(finding.verdict == SERVICE_NEEDS_WORK, "no container is well");
    CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), 1, NULL) == SERVICE_NEEDS_WORK, "not compared");
    service_watch_verify(&watch, "c1");
    CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), 1, NULL) == SERVICE_WELL, "compared");
    service_watch_verify(&watch, "c2");
    CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), 1, NULL) == SERVICE_NEEDS_WORK, "another container");
    service_watch_clear(&watch);
    return 0;
}

FLEET_TEST(service_watch, an_end_may_be_final)
{
    static const struct {
        const struct container_spec *spec;
        int exit_code;
        enum service_verdict verdict;
    } cases[] = {
        {&once, 0, SERVICE_WELL},         {&once, 3, SERVICE_FAILED},
        {&on_failure, 0, SERVICE_WELL},   {&on_failure, 3, SERVICE_NEEDS_WORK},
        {&always, 0, SERVICE_NEEDS_WORK}, {&always, 3, SERVICE_NEEDS_WORK},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct service_watch watch = {0};
        service_watch_verify(&watch, "c1");
        enum service_verdict actual =
            verdict(&watch, cases[i].spec, observed(OBSERVED_ENDED, cases[i].exit_code), 1, NULL);
        service_watch_clear(&watch);
        CHECK(actual == cases[i].verdict, "case %zu: verdict %d", i, (int)actual);
    }
    return 0;
}

FLEET_TEST(service_watch, podman_may_restart_it_first)
{
    struct service_watch watch = {0};
    int64_t again = 0;

    service_watch_verify(&watch, "c1");
    CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), 1000, NULL) == SERVICE_WELL, "running");
    CHECK(verdict(&watch, &always, observed(OBSERVED_ENDED, 1), 2000, &again) == SERVICE_LATER, "just ended");
    CHECK(again == 2000 + PODMAN_RESTARTS_WITHIN_MS, "look again at %" PRId64, again);
    CHECK(verdict(&watch, &always, observed(OBSERVED_ENDED, 1), again - 1, NULL) == SERVICE_LATER, "a bit later");
    CHECK(verdict(&watch, &always, observed(OBSERVED_ENDED, 1), again, NULL) == SERVICE_NEEDS_WORK, "it does not");
    CHECK(verdict(&watch, &always, observed(OBSERVED_CHANGING, 1), again, NULL) == SERVICE_LATER, "it does");
    CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), again, NULL) == SERVICE_WELL, "it did");
    CHECK(verdict(&watch, &always, observed(OBSERVED_PAUSED, 0), again, NULL) == SERVICE_NEEDS_WORK, "paused");
    CHECK(verdict(&watch, &always, observed(OBSERVED_CREATED, 0), again, NULL) == SERVICE_NEEDS_WORK, "after a boot");
    service_watch_clear(&watch);
    return 0;
}

FLEET_TEST(service_watch, what_keeps_exiting_has_failed)
{
    struct service_watch watch = {0};
    int64_t again = 0;

    service_watch_verify(&watch, "c1");
    for (int i = 0; i < DEATHS_KEPT; i++) {
        CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), i * 100, NULL) == SERVICE_WELL, "%d deaths", i);
        service_watch_died(&watch, "another", 1, i * 100);
        service_watch_died(&watch, "c1", 1, i * 100);
    }
    CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), 500, &again) == SERVICE_FAILED, "too many deaths");
    CHECK(again == 400 + DEATHS_FORGIVEN_MS, "look again at %" PRId64, again);
    CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), again, NULL) == SERVICE_WELL, "not forgiven");
    service_watch_died(&watch, "c1", 1, DEATHS_WITHIN_MS + 200);
    CHECK(verdict(&watch, &always, observed(OBSERVED_RUNNING, 0), DEATHS_WITHIN_MS + 300, NULL) == SERVICE_WELL,
          "deaths long ago count");
    service_watch_clear(&watch);
    return 0;
}

/** The reason of the finding at `now_ms` for one that runs. Caller frees. */
static char *reason(struct service_watch *watch, int64_t now_ms)
{
    struct observed_container container = observed(OBSERVED_RUNNING, 0);
    struct service_finding finding;

    service_watch_judge(watch, &always, &container, now_ms, &finding);
    return finding.reason ? finding.reason : text_copy("");
}

static int expect_reason(struct service_watch *watch, int64_t now_ms, const char *expected, struct error *err)
{
    cleanup_free char *actual = reason(watch, now_ms);

    CHECK(strcmp(actual, expected) == 0, "at %" PRId64 " ms: \"%s\"", now_ms, actual);
    return 0;
}

/* Every change of it is a write to NATS, and one to Kubernetes. */
FLEET_TEST(service_watch, what_is_said_of_one_that_keeps_exiting_stays)
{
    struct service_watch watch = {0};
    int64_t now_ms = 1000;

    service_watch_verify(&watch, "c1");
    for (int i = 0; i < 10 * DEATHS_KEPT; i++) {
        now_ms += 100 + (i * 37) % 900; /* podman starts it again now sooner, now later */
        service_watch_died(&watch, "c1", 4, now_ms);
        if (i >= DEATHS_KEPT - 1)
            TRY(expect_reason(&watch, now_ms, "web keeps exiting, lately with code 4", err));
    }
    service_watch_clear(&watch);
    return 0;
}

FLEET_TEST(service_watch, codes_that_alternate_are_no_news_each_time)
{
    struct service_watch watch = {0};
    cleanup_free char *last = text_copy("");
    int64_t now_ms = 1000;
    int changes = 0;

    service_watch_verify(&watch, "c1");
    for (; now_ms <= 1000 + 4 * CODE_RENEWED_MS; now_ms += 1000) {
        service_watch_died(&watch, "c1", 1 + (int)(now_ms / 1000 % 2), now_ms);
        char *now = reason(&watch, now_ms);
        changes += !text_equal(now, last);
        free(last);
        last = now;
    }
    CHECK(changes >= 1 && changes <= 5, "it was said anew %d times", changes);
    service_watch_died(&watch, "c1", 137, now_ms + CODE_RENEWED_MS);
    TRY(expect_reason(&watch, now_ms + CODE_RENEWED_MS, "web keeps exiting, lately with code 137", err));
    service_watch_clear(&watch);
    return 0;
}

/* One that lives about as long as is just too short must not be Failed now, Running then. */
FLEET_TEST(service_watch, it_keeps_exiting_until_it_stays_up)
{
    struct service_watch watch = {0};
    const int64_t pause_ms = DEATHS_WITHIN_MS / (DEATHS_KEPT - 1);
    int64_t now_ms = 1000;

    service_watch_verify(&watch, "c1");
    for (int i = 0; i < DEATHS_KEPT; i++)
        service_watch_died(&watch, "c1", 4, now_ms += pause_ms);
    service_watch_died(&watch, "c1", 4, now_ms += pause_ms + 500); /* six within a little more than the time */
    TRY(expect_reason(&watch, now_ms, "web keeps exiting, lately with code 4", err));
    now_ms += DEATHS_FORGIVEN_MS;
    TRY(expect_reason(&watch, now_ms, "", err));
    service_watch_died(&watch, "c1", 4, now_ms); /* forgiven is forgotten */
    TRY(expect_reason(&watch, now_ms, "", err));
    service_watch_clear(&watch);
    return 0;
}
