/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process_spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char path_default[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

enum { EXIT_NOT_EXECUTED = 127 };

/* What the child could not do; it travels through a pipe that a successful exec closes. */
enum spawn_step { STEP_STREAMS, STEP_DIRECTORY, STEP_EXECUTE };
struct spawn_report {
    enum spawn_step step;
    int errno_value;
};

/* All the child touches, complete before the fork. */
struct child_plan {
    const struct spawn *spawn;
    struct text_list candidates;
    struct text_list environment;
    int report_fd;
    pid_t parent;
};

int spawn_error(struct error *err, int errno_value, const char *program, const char *step, const char *step_subject)
{
    error_set_errno(err, errno_value, step, step_subject);
    error_wrap(err, "starting", program);
    err->domain = &process_error_domain;
    err->code = PROCESS_NOT_STARTED;
    return -1;
}

void spawn_candidates(const char *program, const char *path, struct text_list *ret)
{
    if (strchr(program, '/') || *program == '\0') {
        text_list_add(ret, program);
        return;
    }
    for (const char *at = path ? path : path_default;; at++) {
        size_t size = strcspn(at, ":");
        if (size == 0)
            text_list_format(ret, "./%s", program); /* POSIX: an empty prefix is the working directory */
        else
            text_list_format(ret, "%.*s/%s", (int)size, at, program);
        at += size;
        if (*at == '\0')
            return;
    }
}

/* True if `entry` ("NAME=value" or "NAME") is about the variable that `variable` ("NAME=value") sets. */
static bool is_about(const char *entry, const char *variable)
{
    size_t size = strcspn(entry, "=");

    return strncmp(entry, variable, size) == 0 && (variable[size] == '=' || variable[size] == '\0');
}

static bool is_overridden(const char *const *changes, const char *variable)
{
    for (; changes && *changes; changes++) {
        if (is_about(*changes, variable))
            return true;
    }
    return false;
}

static void make_environment(const char *const *changes, struct text_list *ret)
{
    for (char *const *variable = environ; variable && *variable; variable++) {
        if (!is_overridden(changes, *variable))
            text_list_add(ret, *variable);
    }
    for (; changes && *changes; changes++) {
        /* A later change of the same name wins; one without "=" only removes. */
        if (strchr(*changes, '=') && !is_overridden(changes + 1, *changes))
            text_list_add(ret, *changes);
    }
}

static const char *path_of(const struct text_list *environment)
{
    for (size_t i = 0; i < environment->count; i++) {
        if (text_starts_with(environment->items[i], "PATH="))
            return environment->items[i] + strlen("PATH=");
    }
    return NULL;
}

__attribute__((noreturn)) static void child_fail(const struct child_plan *plan, enum spawn_step step)
{
    struct spawn_report report = {.step = step, .errno_value = errno};
    ssize_t ignored = write(plan->report_fd, &report, sizeof(report));

    (void)ignored; /* nobody is left to tell */
    _exit(EXIT_NOT_EXECUTED);
}

static void child_reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &standard, NULL); /* refused for SIGKILL, SIGSTOP and those libc keeps: rightly */
}

/* The same description under a number above 2; -1 with errno. */
static int child_move_up(int fd)
{
    return fd > STDERR_FILENO ? fd : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static void child_open_streams(struct child_plan *plan)
{
    int sources[] = {plan->spawn->input, plan->spawn->output, plan->spawn->errors};

    /* First all out of the way of 0 to 2, which may be closed here and so be the number of a source. */
    plan->report_fd = child_move_up(plan->report_fd);
    for (int i = 0; i < 3; i++) {
        if (sources[i] >= 0 && (sources[i] = child_move_up(sources[i])) < 0)
            child_fail(plan, STEP_STREAMS);
    }
    for (int i = 0; i < 3; i++) {
        if (sources[i] >= 0 && dup2(sources[i], i) < 0)
            child_fail(plan, STEP_STREAMS);
    }
    /* Libraries open descriptors that are not close-on-exec; they are none of the child's business. */
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        child_fail(plan, STEP_STREAMS);
    if (plan->spawn->options->keep_fd > 0 && fcntl(plan->spawn->options->keep_fd, F_SETFD, 0) < 0)
        child_fail(plan, STEP_STREAMS);
}

/* execvp(3) without its shell fallback: what is not executable is an error. */
static void child_execute(const struct child_plan *plan)
{
    static char *const nothing[] = {NULL};
    char *const *environment = plan->environment.items ? plan->environment.items : nothing;
    int worst = ENOENT;

    for (char **candidate = plan->candidates.items; *candidate; candidate++) {
        execve(*candidate, (char *const *)plan->spawn->options->argv, environment);
        if (errno == EACCES)
            worst = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return;
    }
    errno = worst;
}

__attribute__((noreturn)) static void child_main(struct child_plan *plan)
{
    const struct process_options *options = plan->spawn->options;
    sigset_t none;

    child_reset_signals();
    if (options->new_session)
        setsid();
    else if (plan->spawn->own_group)
        setpgid(0, 0);
    child_open_streams(plan);
    if (options->die_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != plan->parent) /* it died before the line above: no signal will come */
            _exit(EXIT_NOT_EXECUTED);
    }
    if (options->directory && chdir(options->directory) < 0)
        child_fail(plan, STEP_DIRECTORY);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    child_execute(plan);
    child_fail(plan, STEP_EXECUTE);
}

/* No handler of ours may run in the child before it has reset them. */
static pid_t fork_with_signals_blocked(struct child_plan *plan)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        child_main(plan);
    int saved_errno = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    return pid;
}

/* Wait until the child has executed (0) or says why not (-1 with *err set). */
static int read_report(int fd, const struct process_options *options, struct error *err)
{
    struct spawn_report report;
    ssize_t got;

    do {
        got = read(fd, &report, sizeof(report));
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(report))
        return 0;
    switch (report.step) {
    case STEP_STREAMS:
        return spawn_error(err, report.errno_value, options->argv[0], "opening standard streams", NULL);
    case STEP_DIRECTORY:
        return spawn_error(err, report.errno_value, options->argv[0], "changing directory to", options->directory);
    case STEP_EXECUTE:
        break;
    }
    return spawn_error(err, report.errno_value, options->argv[0], "executing", NULL);
}

static void kill_and_reap(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* Fork, then make sure that the child both has a descriptor and has executed. */
static int start_planned(struct child_plan *plan, pid_t *ret_pid, int *ret_pidfd, struct error *err)
{
    const struct process_options *options = plan->spawn->options;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return spawn_error(err, errno, options->argv[0], "creating a pipe", NULL);
    cleanup_close int report = ends[0];
    plan->report_fd = ends[1];
    plan->parent = getpid();
    pid_t pid = fork_with_signals_blocked(plan);
    int fork_errno = errno;
    close(ends[1]);
    if (pid < 0)
        return spawn_error(err, fork_errno, options->argv[0], "forking", NULL);

    cleanup_close int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        spawn_error(err, errno, options->argv[0], "opening a process descriptor", NULL);
        kill_and_reap(pid);
        return -1;
    }
    if (read_report(report, options, err) < 0) {
        kill_and_reap(pid);
        return -1;
    }
    *ret_pid = pid;
    *ret_pidfd = TAKE_FD(pidfd);
    return 0;
}

int spawn_start(const struct spawn *spawn, pid_t *pid, int *pidfd, struct error *err)
{
    struct child_plan plan = {.spawn = spawn};

    make_environment(spawn->options->environment, &plan.environment);
    spawn_candidates(spawn->options->argv[0], path_of(&plan.environment), &plan.candidates);
    int result = start_planned(&plan, pid, pidfd, err);
    text_list_clear(&plan.candidates);
    text_list_clear(&plan.environment);
    return result;
}
