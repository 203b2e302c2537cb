/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mount_namespace.h"
#include "harness/capability_probe.h"

#define OUTPUT_MAX (64u << 10)

/* In the child: say on the pipe what went wrong, and end. Only async-signal-safe calls: the parent may have threads. */
static _Noreturn void give_up(const char *step)
{
    const char *why = strerrordesc_np(errno);
    const char *const parts[] = {"sandbox: ", step, ": ", why ? why : "unknown error", "\n"};

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        ssize_t ignored = write(STDERR_FILENO, parts[i], strlen(parts[i]));
        (void)ignored;
    }
    _exit(126);
}

static void loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        give_up("looking at lo");
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        give_up("bringing lo up");
    close(fd);
}

static void make_private(void)
{
    if (mount_namespace_isolate() < 0)
        give_up("making mounts private");
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        give_up("mounting /proc");
    if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
        give_up("mounting /run");
    if (mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, NULL) < 0) /* podman keeps its locks there */
        give_up("mounting /dev/shm");
    if (mkdir("/run/netns", 0755) < 0)
        give_up("making /run/netns");
}

static _Noreturn void become(const struct sandbox_command *command, int output)
{
    sigset_t none;

    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        give_up("asking to die with the parent");
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    make_private();
    loopback_up();
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    execve(command->argv[0], (char *const *)command->argv, (char *const *)command->environment);
    give_up("executing the program");
}

/* fork(2) into new namespaces; the child is their init, so that its end is everybody's. */
static pid_t fork_into_namespaces(void)
{
    return (pid_t)syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD, NULL, NULL,
                          NULL, NULL);
}

/* Until every writer is gone. Errors: GENERAL_TIMEOUT. */
static int read_until_end(int fd, struct deadline deadline, struct text_buffer *ret, struct error *err)
{
    char block[4096];

    for (;;) {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        int ready = poll(&waiting, 1, deadline_poll_ms(deadline));
        if (ready == 0)
            return error_set(err, &general_error_domain, GENERAL_TIMEOUT, "waiting for the sandbox", NULL, "%s",
                             text_buffer_text(ret));
        ssize_t size = ready < 0 ? -1 : read(fd, block, sizeof(block));
        if (size == 0)
            return 0;
        if (size < 0 && errno != EINTR)
            return error_set_errno(err, errno, "reading from the sandbox", NULL);
        if (size > 0 && ret->size < OUTPUT_MAX)
            text_buffer_append(ret, block, (size_t)size);
    }
}

int sandbox_run(const struct sandbox_command *command, struct deadline deadline, int *exit_code, char **output,
                struct error *err)
{
    cleanup_text_buffer struct text_buffer text = {0};
    int ends[2];
    int status = 0;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "making a pipe for", command->argv[0]);
    pid_t child = fork_into_namespaces();
    if (child == 0)
        become(command, ends[1]);
    int fork_errno = errno;
    close(ends[1]);
    cleanup_close int reader = ends[0];
    if (child < 0)
        return error_set_errno(err, fork_errno, "making namespaces for", command->argv[0]);

    int result = read_until_end(reader, deadline, &text, err);
    if (result < 0)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (result < 0)
        return error_wrap(err, "running in a sandbox", command->argv[0]);
    *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    *output = text_buffer_take(&text);
    return 0;
}

/* Small trials that need no sandbox */

int try_in_child(int (*attempt)(const void *context), const void *context)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(attempt(context));
    if (child < 0)
        return errno;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

static int set_limit(const void *limit)
{
    return setrlimit(RLIMIT_NOFILE, limit) < 0 ? errno : 0;
}

bool hard_limits_can_be_raised(void)
{
    const rlim_t wanted = 1 << 20; /* what podman asks for, and as far as the kernel goes by default */
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    if (limit.rlim_max >= wanted)
        return true;
    limit.rlim_max++;
    return try_in_child(set_limit, &limit) == 0;
}

struct overlay_trial {
    const char *options;
    const char *target;
};

/* In a mount namespace of its own. */
static int mount_overlay(const void *context)
{
    const struct overlay_trial *trial = context;

    if (unshare(CLONE_NEWNS) < 0 || mount_namespace_isolate() < 0 ||
        mount("overlay", trial->target, "overlay", 0, trial->options) < 0)
        return errno;
    return 0;
}

int overlay_try(const char *directory, struct error *err)
{
    cleanup_free char *top = text_format("%s/overlay-trial-%d", directory, getpid());
    cleanup_free char *options = text_format("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", top, top, top);
    static const char *const parts[] = {"lower", "upper", "work", "merged"};
    int result = 0;

    for (size_t i = 0; i < ARRAY_SIZE(parts) && result == 0; i++) {
        cleanup_free char *part = text_format("%s/%s", top, parts[i]);
        result = directory_create(part, 0700, err);
    }
    cleanup_free char *merged = text_format("%s/merged", top);
    struct overlay_trial trial = {options, merged};
    int refused = result == 0 ? try_in_child(mount_overlay, &trial) : 0;
    if (refused)
        result = error_set_errno(err, refused, "mounting an overlay in", directory);
    cleanup_error struct error left = ERROR_INIT;
    if (directory_remove(top, &left) < 0 && result == 0) {
        error_move(err, &left);
        result = -1;
    }
    return result;
}
