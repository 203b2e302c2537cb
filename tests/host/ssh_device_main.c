/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet-ssh-device DIRECTORY TREE
 *
 * A machine of its own as far as sshd can tell, for tests: mounts, network, processes, users, /etc and /usr are its own
 * and nothing of it is left when it ends. DIRECTORY is /mnt in it; sshd and sudo come out of TREE ("/": this machine's).
 *
 *   fleet-ssh-device (outer)    ends with the test; its end takes everything along
 *     └─ init, PID 1            builds the machine, reaps orphans
 *          └─ sshd              on 127.0.0.1, ports 22 and 2222, with DIRECTORY's sshd_config
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "tests/host/ssh_device.h"

#define USAGE_EXIT_CODE 64 /* EX_USAGE of sysexits.h */

static int make_directory(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return error_set_errno(err, errno, "making", path);
    return 0;
}

static int mount_on(const char *source, const char *target, const char *type, unsigned long flags, const char *options,
                    struct error *err)
{
    return mount(source, target, type, flags, options) < 0 ? error_set_errno(err, errno, "mounting", target) : 0;
}

/** A directory of the machine with TREE's laid over it; what is written goes to memory. */
static int lay_over(const char *memory, const char *tree, const char *directory, struct error *err)
{
    cleanup_free char *upper = text_format("%s/%s", memory, directory);
    cleanup_free char *work = text_format("%s/work-%s", memory, directory);
    cleanup_free char *target = text_format("/%s", directory);
    cleanup_free char *over = text_format("%s/%s", tree, directory);
    bool has_over = !text_equal(tree, "/") && file_exists(over);
    cleanup_free char *options = text_format("lowerdir=%s%s%s,upperdir=%s,workdir=%s", has_over ? over : "",
                                             has_over ? ":" : "", target, upper, work);

    if (make_directory(upper, 0755, err) < 0 || make_directory(work, 0755, err) < 0)
        return -1;
    return mount_on("overlay", target, "overlay", 0, options, err);
}

static int build_mounts(const char *directory, const char *tree, struct error *err)
{
    static const char *const empty[] = {"/root", "/home", "/run", "/var/lib/dpkg"};

    if (mount_on(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL, err) < 0 ||
        mount_on(directory, DEVICE_SEEN_AT, NULL, MS_BIND, NULL, err) < 0 ||
        make_directory(DEVICE_SEEN_AT "/memory", 0700, err) < 0 ||
        mount_on("tmpfs", DEVICE_SEEN_AT "/memory", "tmpfs", 0, "mode=0700", err) < 0 ||
        lay_over(DEVICE_SEEN_AT "/memory", tree, "usr", err) < 0 ||
        lay_over(DEVICE_SEEN_AT "/memory", tree, "etc", err) < 0 ||
        mount_on(DEVICE_SEEN_AT "/bin", "/usr/local/bin", NULL, MS_BIND, NULL, err) < 0 ||
        mount_on("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
        if (mount_on("tmpfs", empty[i], "tmpfs", 0, "mode=0755", err) < 0)
            return -1;
    }
    return make_directory("/run/sshd", 0755, err);
}

static int append(const char *path, const char *line, struct error *err)
{
    cleanup_close int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0440);

    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
        return error_set_errno(err, errno, "adding to", path);
    return 0;
}

/** The administrator of every device, and the user that sshd's network-facing half runs as. */
static int add_users(struct error *err)
{
    static const struct {
        const char *path;
        const char *line;
    } lines[] = {
        {"/etc/passwd", "fleet-admin:x:" DEVICE_ADMIN_ID ":" DEVICE_ADMIN_ID "::/run/fleet-admin:/bin/sh\n"},
        {"/etc/passwd", "sshd:x:4002:65534::/run/sshd:/usr/sbin/nologin\n"},
        {"/etc/group", "fleet-admin:x:" DEVICE_ADMIN_ID ":\n"},
        {"/etc/shadow", "fleet-admin:*:19000:0:99999:7:::\n"},
        {"/etc/sudoers.d/fleet-admin", "fleet-admin ALL=(ALL) NOPASSWD: ALL\n"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        if (append(lines[i].path, lines[i].line, err) < 0)
            return -1;
    }
    if (make_directory("/run/fleet-admin", 0755, err) < 0)
        return -1;
    uid_t id = (uid_t)strtoul(DEVICE_ADMIN_ID, NULL, 10);
    return chown("/run/fleet-admin", id, id) < 0 ? error_set_errno(err, errno, "giving away", "/run/fleet-admin") : 0;
}

static int start_sshd(struct error *err)
{
    static const char config[] = DEVICE_SEEN_AT "/sshd_config";
    static const char *const argv[] = {"/usr/sbin/sshd", "-D", "-e", "-f", config, NULL};
    static const char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                              NULL};
    pid_t pid = fork();

    if (pid == 0) {
        execve(argv[0], (char *const *)argv, (char *const *)environment);
        _exit(127);
    }
    return pid < 0 ? error_set_errno(err, errno, "starting", argv[0]) : pid;
}

static _Noreturn void be_init(const char *directory, const char *tree)
{
    cleanup_error struct error err = ERROR_INIT;
    pid_t sshd = -1;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        error_set_errno(&err, errno, "binding the device to", "its outer process");
    else if (sethostname("device", 6) == 0 && build_mounts(directory, tree, &err) == 0 && add_users(&err) == 0 &&
             device_link_set(true, &err) == 0)
        sshd = start_sshd(&err);
    if (sshd < 0) {
        log_failure("the device failed", &err);
        _exit(EXIT_FAILURE);
    }
    for (;;) {
        if (wait(NULL) == sshd)
            _exit(EXIT_FAILURE);
    }
}

static int write_pid(const char *directory, pid_t init, struct error *err)
{
    cleanup_free char *path = text_format("%s/" DEVICE_PID_FILE, directory);
    cleanup_free char *text = text_format("%d\n", (int)init);

    return file_write_atomic(path, text, strlen(text), 0600, err);
}

int main(int argc, char **argv)
{
    cleanup_error struct error err = ERROR_INIT;
    int status = 0;

    log_start("fleet-ssh-device");
    if (argc != 3) {
        fprintf(stderr, "usage: fleet-ssh-device DIRECTORY TREE\n");
        return USAGE_EXIT_CODE;
    }
    umask(022);
    unsigned long namespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC;
    pid_t init = (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, NULL, NULL, NULL, NULL);
    if (init == 0)
        be_init(argv[1], argv[2]);
    if (init < 0)
        error_set_errno(&err, errno, "starting", "the device's init");
    if (init < 0 || write_pid(argv[1], init, &err) < 0) {
        log_failure("the device failed", &err);
        return EXIT_FAILURE; /* init ends with us */
    }
    while (waitpid(init, &status, 0) < 0 && errno == EINTR)
        continue;
    return EXIT_FAILURE;
}
