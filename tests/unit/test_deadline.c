/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deadline.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "harness/test.h"

FLEET_TEST(deadline, never_does_not_pass)
{
    CHECK(!deadline_passed(DEADLINE_NEVER), "never has passed");
    CHECK(deadline_poll_ms(DEADLINE_NEVER) == -1, "never is %d ms away", deadline_poll_ms(DEADLINE_NEVER));
    CHECK(deadline_in_ms(INT64_MAX).at_ms == INT64_MAX, "the longest duration is not never");
    return 0;
}

FLEET_TEST(deadline, passes)
{
    CHECK(deadline_passed(deadline_in_ms(0)), "now has not passed");
    CHECK(deadline_passed(deadline_in_ms(-5)), "before now has not passed");
    CHECK(deadline_poll_ms(deadline_in_ms(-5)) == 0, "before now is yet to come");
    CHECK(!deadline_passed(deadline_in_ms(60000)), "in a minute has passed");
    int left = deadline_poll_ms(deadline_in_ms(60000));
    CHECK(left > 50000 && left <= 60000, "%d ms are left of a minute", left);
    CHECK(deadline_poll_ms(deadline_in_ms(INT64_C(1) << 40)) == INT_MAX, "34 years are not clamped");
    return 0;
}

FLEET_TEST(deadline, min_is_the_earlier)
{
    struct deadline soon = deadline_in_ms(10);
    struct deadline late = deadline_in_ms(1000);

    CHECK(deadline_min(soon, late).at_ms == soon.at_ms, "not the first");
    CHECK(deadline_min(late, soon).at_ms == soon.at_ms, "not the second");
    CHECK(deadline_min(DEADLINE_NEVER, soon).at_ms == soon.at_ms, "never came first");
    return 0;
}

FLEET_TEST(deadline, clocks_agree)
{
    int64_t before = clock_monotonic_us();
    int64_t now_ms = clock_monotonic_ms();
    int64_t after = clock_monotonic_us();

    CHECK(before / 1000 <= now_ms && now_ms <= after / 1000, "%lld is not between %lld and %lld us", (long long)now_ms,
          (long long)before, (long long)after);
    return 0;
}

FLEET_TEST(deadline, rfc3339_is_the_time)
{
    char text[RFC3339_SIZE];
    struct tm parsed = {0};
    struct timespec before = {0};
    struct timespec after = {0};

    clock_gettime(CLOCK_REALTIME, &before); /* time(2) lags behind by up to a tick */
    clock_rfc3339(text);
    clock_gettime(CLOCK_REALTIME, &after);
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parsed);
    CHECK(strlen(text) == RFC3339_SIZE - 1, "%s has %zu characters", text, strlen(text));
    CHECK(rest && rest[0] == '.' && strspn(rest + 1, "0123456789") == 3 && strcmp(rest + 4, "Z") == 0, "it is %s",
          text);
    time_t seconds = timegm(&parsed);
    CHECK(seconds >= before.tv_sec && seconds <= after.tv_sec, "%s is not now", text);
    return 0;
}

/* A condition that counts how often it is asked. */
struct counter {
    int asked;
    int met_at; /* 0: never */
    int failing_at;
    int wake_fd; /* drained; 0: none */
};

static int ask_counter(void *context, struct text_buffer *state, struct error *err)
{
    struct counter *counter = context;
    uint64_t events = 0;

    counter->asked++;
    text_buffer_clear(state);
    text_buffer_format(state, "asked %d times", counter->asked);
    if (counter->wake_fd && read(counter->wake_fd, &events, sizeof(events)) < 0 && errno != EAGAIN)
        return error_set_errno(err, errno, "draining", NULL);
    if (counter->failing_at && counter->asked >= counter->failing_at)
        return error_set(err, &general_error_domain, GENERAL_CONFLICT, "asking", NULL, "there is no use");
    return counter->met_at && counter->asked >= counter->met_at;
}

FLEET_TEST(deadline, wait_returns_at_once_when_met)
{
    struct counter counter = {.met_at = 1};

    TRY(wait_until("the counter", ask_counter, &counter, NULL, deadline_in_ms(0), err));
    CHECK(counter.asked == 1, "asked %d times", counter.asked);
    return 0;
}

FLEET_TEST(deadline, wait_asks_until_met)
{
    struct counter counter = {.met_at = 5};

    TRY(wait_until("the counter", ask_counter, &counter, NULL, DEADLINE_NEVER, err));
    CHECK(counter.asked == 5, "asked %d times", counter.asked);
    return 0;
}

FLEET_TEST(deadline, wait_times_out_with_the_last_state)
{
    struct counter counter = {0};
    int64_t began = clock_monotonic_ms();

    int result = wait_until("the counter", ask_counter, &counter, NULL, deadline_in_ms(120), err);
    int64_t took = clock_monotonic_ms() - began;
    cleanup_free char *last = text_format("asked %d times", counter.asked);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_TIMEOUT), "it did not time out");
    CHECK(strstr(error_root_detail(err), last), "the detail does not say %s", last);
    CHECK(text_equal(err->subject, "the counter"), "the subject is %s", err->subject);
    CHECK(took >= 120 && took < 2000, "it took %lld ms", (long long)took);
    /* 2, 4, 8, 16, 32, 32, … ms: not a busy loop. */
    CHECK(counter.asked >= 2 && counter.asked <= 10, "asked %d times", counter.asked);
    error_clear(err);
    return 0;
}

FLEET_TEST(deadline, wait_asks_even_after_the_deadline)
{
    struct counter counter = {0};

    CHECK_FAILS(wait_until("the counter", ask_counter, &counter, NULL, deadline_in_ms(-1), err), general_error_domain,
                GENERAL_TIMEOUT);
    CHECK(counter.asked == 1, "asked %d times", counter.asked);
    return 0;
}

FLEET_TEST(deadline, wait_asks_a_last_time_at_the_deadline)
{
    struct counter counter = {.met_at = 2};
    struct wait_options options = {.interval_ms = 60000};

    TRY(wait_until("the counter", ask_counter, &counter, &options, deadline_in_ms(30), err));
    return 0;
}

FLEET_TEST(deadline, wait_passes_on_why_it_is_pointless)
{
    struct counter counter = {.failing_at = 2};

    int result = wait_until("the counter", ask_counter, &counter, NULL, deadline_in_ms(10000), err);
    CHECK(result < 0 && error_is(err, &general_error_domain, GENERAL_CONFLICT), "it failed differently");
    CHECK(counter.asked == 2, "asked %d times", counter.asked);
    cleanup_free char *text = error_text(err);
    CHECK(text_equal(text, "waiting for the counter: asking: there is no use"), "text is %s", text);
    error_clear(err);
    return 0;
}

static int say_nothing(void *context, struct text_buffer *state, struct error *err)
{
    (void)context;
    (void)state;
    (void)err;
    return 0;
}

FLEET_TEST(deadline, wait_says_so_when_nothing_was_seen)
{
    int result = wait_until("nothing", say_nothing, NULL, NULL, deadline_in_ms(1), err);

    CHECK(result < 0 && strstr(error_root_detail(err), "last seen: nothing"), "the detail differs");
    error_clear(err);
    return 0;
}

static void *wake(void *context)
{
    const struct counter *counter = context;
    uint64_t one = 1;

    ssize_t written = write(counter->wake_fd, &one, sizeof(one));
    return written == (ssize_t)sizeof(one) ? NULL : context;
}

/* At the first question, once the descriptor has been drained, starts a thread that makes it readable again. */
static int start_waking(void *context, struct text_buffer *state, struct error *err)
{
    struct counter *counter = context;
    int met = ask_counter(context, state, err);
    pthread_t thread;

    if (met == 0 && counter->asked == 1) {
        if (pthread_create(&thread, NULL, wake, counter) != 0)
            return error_set_errno(err, EAGAIN, "starting a thread", NULL);
        pthread_detach(thread);
    }
    return met;
}

FLEET_TEST(deadline, wait_wakes_by_descriptor)
{
    cleanup_close int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct counter counter = {.met_at = 2, .wake_fd = wake_fd};
    struct wait_options options = {.wake_fd = wake_fd, .interval_ms = 30000};
    int64_t began = clock_monotonic_ms();

    TRY(wait_until("the event", start_waking, &counter, &options, deadline_in_ms(20000), err));
    CHECK(clock_monotonic_ms() - began < 5000, "it took %lld ms", (long long)(clock_monotonic_ms() - began));
    return 0;
}

FLEET_TEST(deadline, wait_has_a_net_under_the_descriptor)
{
    cleanup_close int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct counter counter = {.met_at = 3};
    struct wait_options options = {.wake_fd = wake_fd, .interval_ms = 5};

    TRY(wait_until("the net", ask_counter, &counter, &options, deadline_in_ms(10000), err));
    return 0;
}

FLEET_TEST(deadline, wait_does_not_spin_on_a_dead_descriptor)
{
    struct counter counter = {0};
    int ends[2];

    CHECK(pipe(ends) == 0, "pipe: errno %d", errno);
    close_fd(ends[1]);
    cleanup_close int hung_up = ends[0];
    struct wait_options options = {.wake_fd = hung_up, .interval_ms = 20};
    CHECK_FAILS(wait_until("a dead pipe", ask_counter, &counter, &options, deadline_in_ms(100), err),
                general_error_domain, GENERAL_TIMEOUT);
    CHECK(counter.asked <= 8, "asked %d times", counter.asked);
    return 0;
}

FLEET_TEST(deadline, wait_refuses_a_closed_descriptor)
{
    struct counter counter = {0};
    struct wait_options options = {.wake_fd = 9999};

    CHECK_FAILS(wait_until("a closed one", ask_counter, &counter, &options, deadline_in_ms(1000), err),
                system_error_domain, EBADF);
    return 0;
}
