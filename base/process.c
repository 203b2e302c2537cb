/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/process_spawn.h"
#include "base/text.h"

struct process {
    char *program; /* for errors */
    pid_t pid;
    int pidfd;
    bool ended; /* reaped; the two below are final */
    int exit_code;
    int signal;
};

static const char *process_code_name(int code)
{
    switch ((enum process_error)code) {
    case PROCESS_NOT_STARTED:
        return "not-started";
    case PROCESS_EXITED:
        return "exited";
    case PROCESS_SIGNALLED:
        return "signalled";
    case PROCESS_TIMED_OUT:
        return "timed-out";
    }
    return "unknown";
}
const struct error_domain process_error_domain = {"process", process_code_name};

/* Reap if it has ended; with `options` 0 wait for that. */
static void reap(struct process *process, int options)
{
    siginfo_t info = {0};
    int result;

    if (process->ended)
        return;
    do {
        result = waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | options);
    } while (result < 0 && errno == EINTR);
    if (result == 0 && info.si_pid == 0)
        return; /* still running */
    process->ended = true;
    process->exit_code = -1;
    if (result < 0)
        return; /* ECHILD: somebody else reaped it, how it ended is lost */
    if (info.si_code == CLD_EXITED)
        process->exit_code = info.si_status;
    else
        process->signal = info.si_status;
}

/* stdout and stderr of a process_start child, -1 to inherit ours. */
static int open_log(const struct process_options *options, int *ret, struct error *err)
{
    int fd = -1;

    if (options->log_path) {
        fd = open(options->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0600);
        if (fd < 0)
            return spawn_error(err, errno, options->argv[0], "opening log", options->log_path);
    }
    *ret = fd;
    return 0;
}

int process_start(const struct process_options *options, struct process **ret, struct error *err)
{
    cleanup_close int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    cleanup_close int log = -1;
    struct process started = {.pidfd = -1};

    if (nothing < 0)
        return spawn_error(err, errno, options->argv[0], "opening", "/dev/null");
    if (open_log(options, &log, err) < 0)
        return -1;
    struct spawn spawn = {.options = options, .input = nothing, .output = log, .errors = log};
    if (spawn_start(&spawn, &started.pid, &started.pidfd, err) < 0)
        return -1;
    started.program = text_copy(options->argv[0]);
    *ret = NEW(struct process);
    **ret = started;
    return 0;
}

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

int process_fd(const struct process *process)
{
    return process->pidfd;
}

bool process_ended(struct process *process, int *exit_code, int *signal)
{
    reap(process, WNOHANG);
    if (process->ended && exit_code)
        *exit_code = process->exit_code;
    if (process->ended && signal)
        *signal = process->signal;
    return process->ended;
}

int process_signal(struct process *process, int signal, struct error *err)
{
    if (pidfd_send_signal(process->pidfd, signal, NULL, 0) < 0)
        return error_set_errno(err, errno, "signalling", process->program);
    return 0;
}

static int ask_ended(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    text_buffer_add(state, "running");
    return process_ended(context, NULL, NULL);
}

int process_stop(struct process *process, int signal, struct deadline deadline, int *exit_code, struct error *err)
{
    struct wait_options options = {.wake_fd = process->pidfd};
    int result = 0;

    if (!process_ended(process, NULL, NULL)) {
        cleanup_error struct error late = ERROR_INIT;
        pidfd_send_signal(process->pidfd, signal, NULL, 0); /* fails only when it has ended meanwhile */
        if (wait_until("the process to end", ask_ended, process, &options, deadline, &late) < 0) {
            pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
            reap(process, 0);
            result = error_set(err, &process_error_domain, PROCESS_TIMED_OUT, "stopping", process->program,
                               "it did not end in time after SIG%s and was killed", sigabbrev_np(signal));
        }
    }
    if (exit_code)
        *exit_code = process->exit_code;
    return result;
}

void process_release(struct process *process)
{
    if (!process)
        return;
    close_fd(process->pidfd);
    free(process->program);
    free(process);
}

void process_free(struct process *process)
{
    if (process && !process->ended) {
        pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
        reap(process, 0);
    }
    process_release(process);
}

static bool is_executable_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

int process_find_program(const char *program, char **ret, struct error *err)
{
    cleanup_text_list struct text_list candidates = {0};

    spawn_candidates(program, getenv("PATH"), &candidates);
    for (size_t i = 0; i < candidates.count; i++) {
        if (!is_executable_file(candidates.items[i]))
            continue;
        /* Links stay: a program may tell by its name what it should do. */
        cleanup_free char *here = *candidates.items[i] == '/' ? NULL : get_current_dir_name();
        *ret = here ? text_format("%s/%s", here, candidates.items[i]) : text_copy(candidates.items[i]);
        return 0;
    }
    return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "finding program", program,
                     strchr(program, '/') ? "no such executable file" : "not in PATH");
}
