/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process_spawn.h"

enum {
    READ_SIZE = 64 << 10,
    TAIL_BYTES = 1024, /* of stderr, in an error */
};

/* One of the child's output streams, as we read it. */
struct stream {
    int fd; /* -1 once it has ended */
    struct text_buffer text;
    bool truncated;
};

struct running {
    pid_t pid;
    int pidfd;
    struct stream output, errors;
};

static void running_clear(struct running *running)
{
    close_fd(running->pidfd);
    close_fd(running->output.fd);
    close_fd(running->errors.fd);
    text_buffer_clear(&running->output.text);
    text_buffer_clear(&running->errors.text);
}

static void running_clear_at_exit(struct running *running)
{
    running_clear(running);
}
#define cleanup_running __attribute__((cleanup(running_clear_at_exit)))

void process_result_clear(struct process_result *result)
{
    free(result->output);
    free(result->errors);
    *result = (struct process_result){0};
}

/*
 * The child's stdin. A file in memory rather than a pipe: nothing to feed while the child runs, so nothing to deadlock
 * on, and no SIGPIPE when it does not read.
 */
static int make_input(const struct process_options *options, int *ret, struct error *err)
{
    cleanup_close int fd =
        options->input ? memfd_create("stdin", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd < 0 ||
        (options->input && (file_write_all(fd, options->input, options->input_size) < 0 || lseek(fd, 0, SEEK_SET) < 0)))
        return spawn_error(err, errno, options->argv[0], "preparing its input", NULL);
    *ret = TAKE_FD(fd);
    return 0;
}

/* A pipe of which only our end does not block. */
static int make_pipe(const char *program, int *ours, int *childs, struct error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return spawn_error(err, errno, program, "creating a pipe", NULL);
    *ours = ends[0];
    *childs = ends[1];
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return spawn_error(err, errno, program, "creating a pipe", NULL);
    return 0;
}

static int start(const struct process_options *options, struct running *running, struct error *err)
{
    cleanup_close int input = -1;
    cleanup_close int output = -1;
    cleanup_close int errors = -1;

    if (make_input(options, &input, err) < 0 || make_pipe(options->argv[0], &running->output.fd, &output, err) < 0 ||
        make_pipe(options->argv[0], &running->errors.fd, &errors, err) < 0)
        return -1;
    struct spawn spawn = {.options = options, .input = input, .output = output, .errors = errors, .own_group = true};
    return spawn_start(&spawn, &running->pid, &running->pidfd, err);
}

static void keep(struct stream *stream, const char *data, size_t size)
{
    size_t room = PROCESS_OUTPUT_MAX - stream->text.size;

    if (size > room)
        stream->truncated = true;
    text_buffer_append(&stream->text, data, size < room ? size : room);
}

/* Read what is there, at most `limit` bytes, so that a child that never pauses cannot keep us from the deadline. */
static void read_some(struct stream *stream, size_t limit)
{
    char buffer[READ_SIZE];

    while (stream->fd >= 0 && limit > 0) {
        ssize_t got = read(stream->fd, buffer, limit < sizeof(buffer) ? limit : sizeof(buffer));
        if (got > 0) {
            keep(stream, buffer, (size_t)got);
            limit -= (size_t)got;
            continue;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        close_fd(TAKE_FD(stream->fd));
    }
}

/* After its end: what is still in the pipe is all it wrote; others may hold the pipe open for ever. */
static void read_rest(struct stream *stream)
{
    int available = 0;

    if (stream->fd >= 0 && ioctl(stream->fd, FIONREAD, &available) == 0 && available > 0)
        read_some(stream, (size_t)available);
}

/* Read until it ends: 1, or 0 at the deadline, -1 with *err set. */
static int read_until_end(struct running *running, const struct process_options *options, struct deadline deadline,
                          struct error *err)
{
    for (;;) {
        struct pollfd watched[] = {
            {.fd = running->pidfd, .events = POLLIN},
            {.fd = running->output.fd, .events = POLLIN},
            {.fd = running->errors.fd, .events = POLLIN},
        };
        if (poll(watched, ARRAY_SIZE(watched), deadline_poll_ms(deadline)) < 0 && errno != EINTR)
            return error_set_errno(err, errno, "waiting for", options->argv[0]);
        if (watched[0].revents)
            return 1;
        if (deadline_passed(deadline))
            return 0;
        if (watched[1].revents)
            read_some(&running->output, READ_SIZE);
        if (watched[2].revents)
            read_some(&running->errors, READ_SIZE);
    }
}

static void reap(const struct running *running, siginfo_t *info)
{
    int result;

    do {
        *info = (siginfo_t){0};
        result = waitid(P_PIDFD, (id_t)running->pidfd, info, WEXITED);
    } while (result < 0 && errno == EINTR);
}

/* The last lines of `text` on one line, for an error. Caller frees. */
static char *tail(const struct text_buffer *text)
{
    const char *data = text_buffer_text(text);
    size_t end = text->size;

    while (end > 0 && (data[end - 1] == '\n' || data[end - 1] == '\r' || data[end - 1] == ' '))
        end--;
    size_t begin = end > TAIL_BYTES ? end - TAIL_BYTES : 0;
    if (begin > 0) {
        const char *line = memchr(data + begin, '\n', end - begin);
        if (line)
            begin = (size_t)(line - data) + 1;
    }
    cleanup_text_buffer struct text_buffer joined = {0};
    for (size_t i = begin; i < end; i++) {
        if (data[i] == '\n')
            text_buffer_add(&joined, "; ");
        else if (data[i] != '\r' && data[i] != '\0')
            text_buffer_append(&joined, data + i, 1);
    }
    return text_buffer_take(&joined);
}

static void take_result(struct running *running, const siginfo_t *info, struct process_result *ret)
{
    *ret = (struct process_result){.exit_code = -1};
    if (info->si_code == CLD_EXITED)
        ret->exit_code = info->si_status;
    else if (info->si_pid != 0) /* 0: somebody else reaped it */
        ret->signal = info->si_status;
    ret->truncated = running->output.truncated || running->errors.truncated;
    ret->output_size = running->output.text.size;
    ret->output = text_buffer_take(&running->output.text);
    ret->errors = text_buffer_take(&running->errors.text);
}

int process_run(const struct process_options *options, struct deadline deadline, struct process_result *ret,
                struct error *err)
{
    cleanup_running struct running running = {.pidfd = -1, .output.fd = -1, .errors.fd = -1};
    int64_t began_ms = clock_monotonic_ms();
    siginfo_t info;

    if (start(options, &running, err) < 0)
        return -1;
    int ended = read_until_end(&running, options, deadline, err);
    if (ended <= 0)
        kill(-running.pid, SIGKILL); /* not reaped yet, so the group is still its own */
    reap(&running, &info);
    if (ended < 0)
        return -1;
    read_rest(&running.output);
    read_rest(&running.errors);
    if (ended == 0) {
        cleanup_free char *words = tail(&running.errors.text);
        return error_set(err, &process_error_domain, PROCESS_TIMED_OUT, "running", options->argv[0],
                         "killed after %lld ms%s%s", (long long)(clock_monotonic_ms() - began_ms), *words ? ": " : "",
                         words);
    }
    take_result(&running, &info, ret);
    return 0;
}

int process_run_checked(const struct process_options *options, struct deadline deadline, struct process_result *ret,
                        struct error *err)
{
    cleanup_process_result struct process_result result = {0};

    if (process_run(options, deadline, &result, err) < 0)
        return -1;
    if (result.exit_code != 0) {
        struct text_buffer errors = {.data = result.errors, .size = strlen(result.errors)};
        cleanup_free char *words = tail(&errors);
        const char *separator = *words ? ": " : "";
        if (result.signal)
            return error_set(err, &process_error_domain, PROCESS_SIGNALLED, "running", options->argv[0],
                             "ended by SIG%s%s%s", sigabbrev_np(result.signal), separator, words);
        return error_set(err, &process_error_domain, PROCESS_EXITED, "running", options->argv[0], "exit code %d%s%s",
                         result.exit_code, separator, words);
    }
    if (ret) {
        *ret = result;
        result = (struct process_result){0};
    }
    return 0;
}
