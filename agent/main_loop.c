/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/main_loop.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/footprint.h"
#include "agent/notify.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/text.h"

/* After the start, and once more when the first heartbeats and reconciles have touched what they need. */
#define TRIM_FIRST_MS 2000
#define TRIM_LAST_MS  10000

struct loop {
    const struct main_loop_options *options;
    bool told_ready;
    const char *told_status;
    int64_t watchdog_ms; /* between two signs of life; 0: none are wanted */
    int64_t watchdog_at_ms;
    uint64_t progress;
    int64_t progress_at_ms;
    int64_t trim_at_ms;
    int64_t last_trim_at_ms;
};

/** Telling systemd is a courtesy: a failure is said and forgotten. */
static void tell(const char *state)
{
    cleanup_error struct error failure = ERROR_INIT;

    if (notify_send(state, &failure) < 0)
        log_trouble("systemd was not told", &failure, LOG_TEXT("state", state));
}

static void tell_state(struct loop *loop)
{
    const char *status = NULL;
    bool ready = loop->options->is_ready(loop->options->context, &status);

    if (status != loop->told_status) {
        cleanup_free char *text = text_format("STATUS=%s", status);

        tell(text);
        loop->told_status = status;
    }
    if (ready && !loop->told_ready) {
        tell("READY=1");
        loop->told_ready = true;
        log_debug("ready");
    }
}

/** A sign of life, unless the reconciler gives none. */
static void feed_watchdog(struct loop *loop, int64_t now_ms)
{
    uint64_t progress = loop->options->progress(loop->options->context);

    if (progress != loop->progress) {
        loop->progress = progress;
        loop->progress_at_ms = now_ms;
    }
    if (loop->watchdog_ms == 0 || now_ms < loop->watchdog_at_ms)
        return;
    loop->watchdog_at_ms = now_ms + loop->watchdog_ms;
    if (now_ms - loop->progress_at_ms < loop->options->stalled_ms)
        tell("WATCHDOG=1");
    else
        log_warning("the reconciler is stuck: the watchdog is left alone");
}

static void trim(struct loop *loop, int64_t now_ms)
{
    if (now_ms < loop->trim_at_ms)
        return;
    footprint_trim();
    loop->trim_at_ms = now_ms < loop->last_trim_at_ms ? loop->last_trim_at_ms : INT64_MAX;
}

/** True when one of them asks us to end. */
static bool read_signals(int fd)
{
    struct signalfd_siginfo information;
    bool end = false;

    while (read(fd, &information, sizeof(information)) == sizeof(information)) {
        const char *name = sigabbrev_np((int)information.ssi_signo);

        if (information.ssi_signo == SIGHUP) {
            log_info("signal ignored: restart the agent for a changed configuration", LOG_TEXT("signal", name));
        } else {
            log_info("ending", LOG_TEXT("signal", name));
            end = true;
        }
    }
    return end;
}

static void drain(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof(count)) > 0)
        continue;
}

static struct deadline next_wake(const struct loop *loop)
{
    struct deadline trim_at = {loop->trim_at_ms};
    struct deadline watchdog_at = {loop->watchdog_ms > 0 ? loop->watchdog_at_ms : INT64_MAX};

    return deadline_min(trim_at, watchdog_at);
}

int main_loop_run(const struct main_loop_options *options, struct error *err)
{
    int64_t started_ms = clock_monotonic_ms();
    struct loop loop = {
        .options = options,
        .watchdog_ms = notify_watchdog_ms() / 2,
        .progress_at_ms = started_ms,
        .trim_at_ms = started_ms + TRIM_FIRST_MS,
        .last_trim_at_ms = started_ms + TRIM_LAST_MS,
    };

    for (;;) {
        struct pollfd fds[] = {{.fd = options->signal_fd, .events = POLLIN},
                               {.fd = options->wake_fd, .events = POLLIN}};

        tell_state(&loop);
        if (poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(next_wake(&loop))) < 0 && errno != EINTR)
            return error_set_errno(err, errno, "polling in the main loop", NULL);
        if (read_signals(options->signal_fd))
            break;
        drain(options->wake_fd);
        feed_watchdog(&loop, clock_monotonic_ms());
        trim(&loop, clock_monotonic_ms());
    }
    tell("STOPPING=1\nSTATUS=ending");
    return 0;
}
