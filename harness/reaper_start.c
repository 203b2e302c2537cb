/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/memory.h"
#include "base/text.h"
#include "harness/place.h"
#include "harness/program.h"
#include "harness/reaper.h"

#define READY_MS 10000

/* Our environment without the mark: else the reaper would end itself. The strings are borrowed. */
static char **environment_without_mark(void)
{
    size_t count = 0;

    for (char **entry = environ; *entry; entry++)
        count++;
    char **copy = NEW_ARRAY(char *, count + 1);
    count = 0;
    for (char **entry = environ; *entry; entry++) {
        if (!text_starts_with(*entry, RUN_MARK "="))
            copy[count++] = *entry;
    }
    return copy;
}

/* In the child of a process that may have threads: only async-signal-safe functions from here on. */
_Noreturn static void become_reaper(const char *program, char *const *arguments, char *const *environment, int ready)
{
    sigset_t none;
    int kept = fcntl(ready, F_DUPFD, 3); /* above stdio, not closed by exec */
    int null = open("/dev/null", O_RDWR);

    if (setsid() < 0 || kept < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        _exit(127);
    /* The other end of `ready` must not stay open in here, nor anything that would keep a reader of ours waiting. */
    if (dup2(kept, 3) < 0 || close_range(4, ~0U, 0) < 0)
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* stays so across exec: there is no moment at which Ctrl-C ends a reaper */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    execve(program, arguments, environment);
    _exit(127);
}

/* Fork twice, so that the reaper is nobody's child: a body may wait for any child, and leaves no zombie. */
static int spawn(const char *program, char *const *arguments, char *const *environment, int ready, struct error *err)
{
    pid_t child = fork();
    int status = 0;

    if (child < 0)
        return error_set_errno(err, errno, "starting", "reaper");
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0)
            become_reaper(program, arguments, environment, ready);
        _exit(grandchild < 0 ? 127 : 0);
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) /* ECHILD: the program ignores SIGCHLD; what the child says is not needed */
            return 0;
    }
    if (status != 0)
        return error_set_errno(err, EAGAIN, "starting", "reaper");
    return 0;
}

/* Wait for the reaper's answer: "ready\n", or its words why not. */
static int await_ready(int fd, struct error *err)
{
    struct deadline deadline = deadline_in_ms(READY_MS);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    cleanup_text_buffer struct text_buffer answer = {0};

    for (;;) {
        char chunk[512];
        int polled = poll(&ready, 1, deadline_poll_ms(deadline));
        if (polled < 0 && errno == EINTR)
            continue;
        if (polled <= 0)
            return error_set(err, &general_error_domain, GENERAL_TIMEOUT, "starting", "reaper", "no answer in %d ms",
                             READY_MS);
        ssize_t size = read(fd, chunk, sizeof(chunk));
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            break;
        text_buffer_append(&answer, chunk, (size_t)size);
        if (text_equal(text_buffer_text(&answer), "ready\n"))
            return 0;
    }
    return error_set(err, &general_error_domain, GENERAL_FAILED, "starting", "reaper", "%s",
                     answer.size ? text_buffer_text(&answer) : "it ended without a word");
}

int reaper_start(const char *directory, pid_t owner, const char *start_line, struct error *err)
{
    cleanup_free char *program = NULL;
    cleanup_free char *owner_text = text_format("%d", owner);
    cleanup_free char **environment = environment_without_mark();
    int ends[2];

    if (program_find("fleet-e2e", &program, err) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set_errno(err, errno, "starting", "reaper");
    cleanup_close int ours = ends[0];
    cleanup_close int theirs = ends[1];
    const char *arguments[] = {program, "reap", directory, owner_text, "3", NULL};
    if (spawn(program, (char *const *)arguments, environment, theirs, err) < 0)
        return -1;
    close_fd(TAKE_FD(theirs));
    if (send(ours, start_line, strlen(start_line), MSG_NOSIGNAL) != (ssize_t)strlen(start_line))
        return error_set(err, &general_error_domain, GENERAL_FAILED, "starting", program, "it could not be started");
    return await_ready(ours, err);
}
