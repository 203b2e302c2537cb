/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deadline.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

enum {
    POLL_INTERVAL_MS = 2,
    POLL_GROWTH = 16,
    WAKE_INTERVAL_MS = 1000,
};

int64_t clock_monotonic_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock always exists on Linux */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_monotonic_ms(void)
{
    return clock_monotonic_us() / 1000;
}

struct deadline deadline_in_ms(int64_t milliseconds)
{
    struct deadline deadline;

    if (__builtin_add_overflow(clock_monotonic_ms(), milliseconds, &deadline.at_ms))
        return DEADLINE_NEVER; /* the clock is positive, so only a huge positive duration overflows */
    return deadline;
}

struct deadline deadline_min(struct deadline a, struct deadline b)
{
    return a.at_ms < b.at_ms ? a : b;
}

bool deadline_passed(struct deadline deadline)
{
    return deadline.at_ms != INT64_MAX && clock_monotonic_ms() >= deadline.at_ms;
}

int deadline_poll_ms(struct deadline deadline)
{
    if (deadline.at_ms == INT64_MAX)
        return -1;
    int64_t now = clock_monotonic_ms();
    if (deadline.at_ms <= now)
        return 0;
    int64_t left = deadline.at_ms - now;
    return left > INT_MAX ? INT_MAX : (int)left;
}

void clock_rfc3339(char buffer[RFC3339_SIZE])
{
    struct timespec now;
    struct tm utc;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t size = strftime(buffer, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(buffer + size, RFC3339_SIZE - size, ".%03uZ", (unsigned)(now.tv_nsec / 1000000) % 1000);
}

/* Pause until `wake_fd` (-1: none) is readable or `pause_ms` or the deadline is over. */
static int pause_for(int *wake_fd, int pause_ms, struct deadline deadline, struct error *err)
{
    struct pollfd wake = {.fd = *wake_fd, .events = POLLIN};
    int left_ms = deadline_poll_ms(deadline);

    if (left_ms >= 0 && left_ms < pause_ms)
        pause_ms = left_ms;
    int ready = poll(&wake, 1, pause_ms);
    if (ready < 0 && errno != EINTR)
        return error_set_errno(err, errno, "polling", NULL);
    if (ready > 0 && (wake.revents & POLLNVAL))
        return error_set_errno(err, EBADF, "polling the descriptor that should wake", NULL);
    if (ready > 0 && !(wake.revents & POLLIN))
        *wake_fd = -1; /* hung up for good: it would wake us without end, so poll the condition instead */
    return 0;
}

int wait_until(const char *what, wait_condition condition, void *context, const struct wait_options *options,
               struct deadline deadline, struct error *err)
{
    cleanup_text_buffer struct text_buffer state = {0};
    int wake_fd = options && options->wake_fd > 0 ? options->wake_fd : -1;
    int default_ms = wake_fd >= 0 ? WAKE_INTERVAL_MS : POLL_INTERVAL_MS;
    int interval_ms = options && options->interval_ms > 0 ? options->interval_ms : default_ms;
    int64_t longest_ms = (int64_t)interval_ms * POLL_GROWTH;
    int64_t pause_ms = interval_ms;

    for (;;) {
        /* Read before asking, so that the condition is asked once more after the deadline before we give up. */
        bool last = deadline_passed(deadline);
        text_buffer_clear(&state); /* what was seen before is no longer the last state */
        int met = condition(context, &state, err);
        if (met > 0)
            return 0;
        if (met < 0)
            return error_wrap(err, "waiting for", what);
        if (last)
            break;
        if (pause_for(&wake_fd, pause_ms > INT_MAX ? INT_MAX : (int)pause_ms, deadline, err) < 0)
            return error_wrap(err, "waiting for", what);
        if (wake_fd < 0)
            pause_ms = pause_ms * 2 < longest_ms ? pause_ms * 2 : longest_ms;
    }
    return error_set(err, &general_error_domain, GENERAL_TIMEOUT, "waiting for", what, "timed out; last seen: %s",
                     state.size ? text_buffer_text(&state) : "nothing");
}
