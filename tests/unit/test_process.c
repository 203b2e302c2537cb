/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"
#include "tests/unit/support_process.h"

/* The children are the system's own programs; where a test needs one with a script, that is sh: the product never uses
 * one, here it only is a program that can be told what to do. */
#define ARGV(...)   ((const char *const[]){__VA_ARGS__, NULL})
#define SCRIPT(...) ARGV("sh", "-c", __VA_ARGS__)

#define SOON deadline_in_ms(20000)

static char *below(const struct test_context *test, const char *name)
{
    return text_format("%s/%s", test->artefacts, name);
}

/* `argv` must fail to start because of `errno_value`. */
static int expect_not_started(const struct process_options *options, int errno_value, struct error *err)
{
    struct process *process = NULL;

    for (int i = 0; i < 2; i++) {
        int result = i == 0 ? process_run(options, SOON, &(struct process_result){0}, err)
                            : process_start(options, &process, err);
        CHECK(result < 0 && error_is(err, &process_error_domain, PROCESS_NOT_STARTED), "it did not fail so");
        CHECK(err->cause && error_is(err->cause, &system_error_domain, errno_value), "the cause is not errno %d",
              errno_value);
        CHECK(text_equal(error_root_detail(err), strerror(errno_value)), "the detail is %s", error_root_detail(err));
        error_clear(err);
    }
    CHECK(process == NULL, "a failed call must leave its result alone");
    CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "a child was left");
    return 0;
}

FLEET_TEST(process, says_why_it_did_not_start)
{
    cleanup_free char *text = below(test, "text");
    cleanup_free char *words = below(test, "words");

    TRY(file_write_atomic(text, "#!/nowhere/interpreter\n", 23, 0755, err));
    TRY(file_write_atomic(words, "true\n", 5, 0755, err)); /* a shell would run it */
    TRY(expect_not_started(&(struct process_options){.argv = ARGV("no-such-program-here")}, ENOENT, err));
    TRY(expect_not_started(&(struct process_options){.argv = ARGV("/nowhere/program")}, ENOENT, err));
    TRY(expect_not_started(&(struct process_options){.argv = ARGV("")}, ENOENT, err));
    TRY(expect_not_started(&(struct process_options){.argv = ARGV("/etc/passwd")}, EACCES, err));
    TRY(expect_not_started(&(struct process_options){.argv = ARGV("/")}, EACCES, err));
    TRY(expect_not_started(&(struct process_options){.argv = ARGV(text)}, ENOENT, err));
    TRY(expect_not_started(&(struct process_options){.argv = ARGV(words)}, ENOEXEC, err));
    TRY(expect_not_started(&(struct process_options){.argv = ARGV("true"), .directory = "/nowhere"}, ENOENT, err));
    return 0;
}

FLEET_TEST(process, names_the_directory_it_could_not_enter)
{
    struct process_options options = {.argv = ARGV("true"), .directory = "/nowhere"};

    int failed = process_run_checked(&options, SOON, NULL, err);
    cleanup_free char *text = error_text(err);
    CHECK(failed < 0 && text_equal(text, "starting true: changing directory to /nowhere: No such file or directory"),
          "it is %s", text);
    error_clear(err);
    return 0;
}

FLEET_TEST(process, environment_is_added_replaced_and_removed)
{
    struct process_options options = {
        .argv = SCRIPT("echo \"$FLEET_KEPT|$FLEET_CHANGED|$FLEET_NEW|${FLEET_GONE-unset}|$FLEET_LONGER\""),
        .environment = ARGV("FLEET_CHANGED=first", "FLEET_CHANGED=yes", "FLEET_NEW=a=b", "FLEET_GONE", "FLEET_LONG=x"),
    };
    cleanup_process_result struct process_result result = {0};

    setenv("FLEET_KEPT", "kept", 1);
    setenv("FLEET_CHANGED", "no", 1);
    setenv("FLEET_GONE", "still here", 1);
    setenv("FLEET_LONGER", "longer", 1);
    TRY(process_run_checked(&options, SOON, &result, err));
    CHECK(text_equal(result.output, "kept|yes|a=b|unset|longer\n"), "it is %s", result.output);
    return 0;
}

FLEET_TEST(process, is_found_in_the_path_it_gets)
{
    cleanup_free char *program = below(test, "fleet-greeting");
    cleanup_free char *path = text_format("PATH=/nowhere::/etc:%s:/bin", test->artefacts);
    struct process_options options = {.argv = ARGV("fleet-greeting"), .environment = ARGV(path)};
    cleanup_process_result struct process_result result = {0};
    static const char script[] = "#!/bin/sh\necho hello\n";

    TRY(file_write_atomic(program, script, strlen(script), 0755, err));
    TRY(process_run_checked(&options, SOON, &result, err));
    CHECK(text_equal(result.output, "hello\n"), "it is %s", result.output);
    struct process_options ours = {.argv = ARGV("fleet-greeting")};
    CHECK_FAILS(process_run(&ours, SOON, &(struct process_result){0}, err), process_error_domain, PROCESS_NOT_STARTED);
    return 0;
}

FLEET_TEST(process, works_in_its_directory)
{
    struct process_options options = {.argv = ARGV("pwd", "-P"), .directory = "/proc/self"};
    cleanup_process_result struct process_result result = {0};

    TRY(process_run_checked(&options, SOON, &result, err));
    CHECK(text_starts_with(result.output, "/proc/"), "it is %s", result.output);
    return 0;
}

FLEET_TEST(process, inherits_no_descriptor)
{
    struct process_options options = {.argv = ARGV("ls", "/proc/self/fd")};
    cleanup_process_result struct process_result result = {0};

    CHECK(dup2(STDIN_FILENO, 77) == 77, "dup2: errno %d", errno); /* not close-on-exec */
    TRY(process_run_checked(&options, SOON, &result, err));
    close_fd(77);
    CHECK(text_equal(result.output, "0\n1\n2\n3\n"), "it has %s", result.output); /* 3: ls reads the directory */
    return 0;
}

FLEET_TEST(process, keeps_the_descriptor_it_is_told_to)
{
    cleanup_close int kept = eventfd(0, EFD_CLOEXEC);
    cleanup_free char *number = text_format("/proc/self/fd/%d", kept);
    struct process_options options = {.argv = ARGV("readlink", number), .keep_fd = kept};
    cleanup_process_result struct process_result result = {0};

    TRY(process_run_checked(&options, SOON, &result, err));
    CHECK(strstr(result.output, "eventfd"), "it is %s", result.output);
    CHECK(fcntl(kept, F_GETFD) == FD_CLOEXEC, "ours is no longer close-on-exec");
    return 0;
}

FLEET_TEST(process, starts_when_standard_streams_are_closed)
{
    struct process_options options = {.argv = SCRIPT("cat; echo done"), .input = "in ", .input_size = 3};
    cleanup_process_result struct process_result result = {0};
    int saved[3];

    for (int i = 0; i < 3; i++)
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < 3; i++)
        close_fd(i);
    int run = process_run_checked(&options, SOON, &result, err);
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close_fd(saved[i]);
    }
    TRY(run);
    CHECK(text_equal(result.output, "in done\n"), "it is %s", result.output);
    return 0;
}

/* The line `name` of /proc/self/status, as the child sees it. Caller frees *ret. */
static int child_status(const char *name, char **ret, struct error *err)
{
    cleanup_free char *pattern = text_format("^%s:", name);
    struct process_options options = {.argv = ARGV("grep", pattern, "/proc/self/status")};
    cleanup_process_result struct process_result result = {0};

    if (process_run_checked(&options, SOON, &result, err) < 0)
        return -1;
    *ret = TAKE_PTR(result.output);
    return 0;
}

FLEET_TEST(process, starts_with_fresh_signals)
{
    cleanup_free char *blocked = NULL;
    cleanup_free char *ignored = NULL;
    sigset_t set;
    sigset_t now;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGHUP, SIG_IGN);
    TRY(child_status("SigBlk", &blocked, err));
    TRY(child_status("SigIgn", &ignored, err));
    CHECK(strstr(blocked, "0000000000000000"), "it has %s", blocked);
    CHECK(strstr(ignored, "0000000000000000"), "it has %s", ignored);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1) && !sigismember(&now, SIGUSR2), "our own mask changed");
    return 0;
}

FLEET_TEST(process, has_a_group_or_session_of_its_own)
{
    struct process_options options = {.argv = ARGV("cat", "/proc/self/stat")};

    for (int apart = 0; apart < 2; apart++) {
        cleanup_process_result struct process_result result = {0};
        options.new_session = apart == 1;
        TRY(process_run_checked(&options, SOON, &result, err));
        /* "PID (cat) STATE PARENT GROUP SESSION …" */
        char *rest = result.output;
        long pid = strtol(rest, &rest, 10);
        CHECK(text_starts_with(rest, " (cat) R "), "it is %s", result.output);
        strtol(rest + strlen(" (cat) R "), &rest, 10);
        long group = strtol(rest, &rest, 10);
        long session = strtol(rest, &rest, 10);
        CHECK(pid == group && session == (apart ? pid : getsid(0)), "it is %s", result.output);
    }
    return 0;
}

FLEET_TEST(process, goes_on_running_until_stopped)
{
    struct process_options options = {.argv = ARGV("sleep", "1000")};
    CLEANUP(process_free) struct process *process = NULL;
    int exit_code = 0;
    int signal_number = 0;

    TRY(process_start(&options, &process, err));
    struct pollfd ended = {.fd = process_fd(process), .events = POLLIN};
    CHECK(!process_ended(process, &exit_code, &signal_number), "it has ended");
    CHECK(poll(&ended, 1, 0) == 0, "its descriptor is readable");
    CHECK(getpgid(process_pid(process)) == getpgrp(), "Ctrl-C would not reach it");
    TRY(process_stop(process, SIGTERM, SOON, &exit_code, err));
    CHECK(exit_code == -1, "it ended with %d", exit_code);
    CHECK(process_ended(process, &exit_code, &signal_number) && signal_number == SIGTERM, "signal %d", signal_number);
    CHECK_FAILS(process_signal(process, SIGTERM, err), system_error_domain, ESRCH);
    TRY(process_stop(process, SIGTERM, SOON, &exit_code, err));
    return 0;
}

static int ask_readable(void *context, struct text_buffer *state, struct error *err)
{
    const struct process *process = context;
    struct pollfd ended = {.fd = process_fd(process), .events = POLLIN};

    (void)state;
    (void)err;
    return poll(&ended, 1, 0) == 1;
}

FLEET_TEST(process, end_is_seen_on_the_descriptor)
{
    struct process_options options = {.argv = SCRIPT("exit 7")};
    CLEANUP(process_free) struct process *process = NULL;
    int exit_code = 0;

    TRY(process_start(&options, &process, err));
    struct wait_options wake = {.wake_fd = process_fd(process)};
    TRY(wait_until("the end", ask_readable, process, &wake, SOON, err));
    CHECK(process_ended(process, &exit_code, NULL) && exit_code == 7, "it ended with %d", exit_code);
    CHECK(process_ended(process, NULL, NULL), "it lives again");
    return 0;
}

/* True once the file has something in it. */
static int ask_written(void *context, struct text_buffer *state, struct error *err)
{
    struct stat status = {0};

    (void)err;
    text_buffer_add(state, "nothing written");
    return stat(context, &status) == 0 && status.st_size > 0;
}

FLEET_TEST(process, that_will_not_stop_is_killed)
{
    cleanup_free char *log = below(test, "log");
    struct process_options options = {.argv = SCRIPT("trap '' TERM; echo ready; while :; do sleep 0.05; done"),
                                      .log_path = log};
    CLEANUP(process_free) struct process *process = NULL;
    int exit_code = 0;

    TRY(process_start(&options, &process, err));
    TRY(wait_until("the trap to be set", ask_written, log, NULL, SOON, err));
    CHECK_FAILS(process_stop(process, SIGTERM, deadline_in_ms(100), &exit_code, err), process_error_domain,
                PROCESS_TIMED_OUT);
    CHECK(exit_code == -1, "it ended with %d", exit_code);
    CHECK(process_ended(process, NULL, NULL), "it is still running");
    return 0;
}

FLEET_TEST(process, log_takes_both_streams_and_grows)
{
    cleanup_free char *log = below(test, "log");
    cleanup_free char *text = NULL;
    struct process_options options = {.argv = SCRIPT("echo out; echo err >&2"), .log_path = log};
    struct stat status = {0};
    size_t size = 0;

    for (int i = 0; i < 2; i++) {
        CLEANUP(process_free) struct process *process = NULL;
        TRY(process_start(&options, &process, err));
        TRY(process_stop(process, 0, SOON, NULL, err));
    }
    TRY(file_read(log, 1000, &text, &size, err));
    CHECK(text_equal(text, "out\nerr\nout\nerr\n"), "it is %s", text);
    CHECK(stat(log, &status) == 0 && (status.st_mode & 07777) == 0600, "mode is %o", status.st_mode & 07777);
    struct process_options nowhere = {.argv = ARGV("true"), .log_path = "/nowhere/log"};
    CHECK_FAILS(process_start(&nowhere, &(struct process *){NULL}, err), process_error_domain, PROCESS_NOT_STARTED);
    return 0;
}

FLEET_TEST(process, free_kills_and_reaps)
{
    struct process_options options = {.argv = ARGV("sleep", "1000")};
    struct process *process = NULL;

    process_free(NULL);
    process_release(NULL);
    TRY(process_start(&options, &process, err));
    pid_t pid = process_pid(process);
    process_free(process);
    CHECK(kill(pid, 0) < 0 && errno == ESRCH, "%d is still there", pid);
    return 0;
}

FLEET_TEST(process, release_lets_it_run)
{
    struct process_options options = {.argv = ARGV("sleep", "1000")};
    struct process *process = NULL;

    TRY(process_start(&options, &process, err));
    pid_t pid = process_pid(process);
    process_release(process);
    CHECK(kill(pid, 0) == 0, "%d is gone", pid);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid, "%d cannot be ended", pid);
    return 0;
}

/* Starts a child, writes its pid and ends without a word to it. */
__attribute__((noreturn)) static void parent_that_dies(int out, bool die_with_parent)
{
    cleanup_error struct error ignored = ERROR_INIT;
    struct process_options options = {
        .argv = ARGV("sleep", "1000"), .new_session = true, .die_with_parent = die_with_parent};
    struct process *process = NULL;
    pid_t pid = process_start(&options, &process, &ignored) == 0 ? process_pid(process) : 0;
    bool written = write(out, &pid, sizeof(pid)) == (ssize_t)sizeof(pid);

    _exit(written ? 0 : 1);
}

FLEET_TEST(process, dies_with_its_parent_when_asked)
{
    for (int die = 0; die < 2; die++) {
        int ends[2];
        pid_t child = 0;
        CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe2: errno %d", errno);
        pid_t parent = fork();
        if (parent == 0)
            parent_that_dies(ends[1], die == 1);
        close_fd(ends[1]);
        bool told = read(ends[0], &child, sizeof(child)) == (ssize_t)sizeof(child);
        close_fd(ends[0]);
        CHECK(waitpid(parent, NULL, 0) == parent && told && child > 0, "the parent did not start a child");
        if (die) {
            TRY(wait_until("the child to die", ask_process_ended, &child, NULL, SOON, err));
        } else {
            CHECK(kill(child, 0) == 0, "it died with its parent");
            CHECK(kill(child, SIGKILL) == 0, "it cannot be ended");
        }
    }
    return 0;
}

FLEET_TEST(process, tells_when_somebody_else_reaped_it)
{
    struct process_options options = {.argv = ARGV("true")};
    CLEANUP(process_free) struct process *process = NULL;
    int exit_code = 0;
    int signal_number = 4711;

    TRY(process_start(&options, &process, err));
    CHECK(waitpid(process_pid(process), NULL, 0) == process_pid(process), "waitpid: errno %d", errno);
    CHECK(process_ended(process, &exit_code, &signal_number), "it is still running");
    CHECK(exit_code == -1 && signal_number == 0, "it ended with %d/%d", exit_code, signal_number);
    return 0;
}

FLEET_TEST(process, finds_programs)
{
    cleanup_free char *program = NULL;
    cleanup_free char *absolute = NULL;
    cleanup_free char *relative = NULL;
    char *none = NULL;

    TRY(process_find_program("sh", &program, err));
    CHECK(*program == '/' && access(program, X_OK) == 0, "it is %s", program);
    TRY(process_find_program("/bin/sh", &absolute, err));
    CHECK(text_equal(absolute, "/bin/sh"), "it is %s", absolute);
    CHECK_FAILS(process_find_program("no-such-program-here", &none, err), general_error_domain, GENERAL_NOT_FOUND);
    CHECK_FAILS(process_find_program("/etc/passwd", &none, err), general_error_domain, GENERAL_NOT_FOUND);
    CHECK_FAILS(process_find_program("/bin", &none, err), general_error_domain, GENERAL_NOT_FOUND);
    CHECK_FAILS(process_find_program("", &none, err), general_error_domain, GENERAL_NOT_FOUND);
    CHECK(none == NULL, "a failed call must leave its result alone");
    setenv("PATH", "proc/self/cwd/bin", 1);
    cleanup_close int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(chdir("/") == 0, "chdir: errno %d", errno);
    int found = process_find_program("sh", &relative, err);
    CHECK(fchdir(here) == 0, "fchdir: errno %d", errno);
    TRY(found);
    CHECK(*relative == '/', "it is %s", relative);
    return 0;
}

FLEET_TEST(process, every_code_has_its_name)
{
    cleanup_text_list struct text_list names = {0};

    for (int code = PROCESS_NOT_STARTED; code <= PROCESS_TIMED_OUT; code++) {
        const char *name = process_error_domain.code_name(code);
        CHECK(!text_equal(name, "unknown") && !text_list_contains(&names, name), "code %d is called %s", code, name);
        text_list_add(&names, name);
    }
    CHECK(text_equal(process_error_domain.code_name(4711), "unknown"), "an unknown code has a name");
    return 0;
}
