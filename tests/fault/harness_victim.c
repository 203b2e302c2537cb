/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "harness/run.h"

/*
 * fleet-harness-victim DIRECTORY: does step by step what a test does outside itself, and waits at each step, so that it
 * can be killed there. In DIRECTORY are three FIFOs its killer made:
 *   life     it writes the name of each step; every process it starts holds it open, so its end of file says that all
 *            are gone, whatever their environment and namespace
 *   control  one byte is read before it goes on
 *   tether   what every started process waits on: its killer's own end ends them, should the reaper fail
 */

struct victim {
    const char *directory;
    struct run *run;
    int life;
    int control;
    char *group;
};

static int open_fifo(const char *directory, const char *name, int flags)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);

    return open(path, flags); /* inherited by all we start: that is what it is for */
}

static int announce(struct victim *victim, const char *step, struct error *err)
{
    cleanup_free char *line = text_format("%s %s\n", step, victim->run ? run_id(victim->run) : "-");
    char go;

    if (write(victim->life, line, strlen(line)) < 0 || read(victim->control, &go, 1) != 1)
        return error_set_errno(err, errno, "announcing", step);
    return 0;
}

static int enter_group_in(void *context, const char *hierarchy, struct error *err)
{
    const struct victim *victim = context;
    cleanup_free char *procs = text_format("/sys/fs/cgroup/%s/%s/inner/cgroup.procs", hierarchy, victim->group);
    cleanup_close int fd = open(procs, O_WRONLY | O_CLOEXEC);

    (void)err;
    if (fd >= 0)
        (void)!write(fd, "0", 1); /* cpuset refuses without cpus: fine, the others do not */
    return 0;
}

static int each_hierarchy(struct victim *victim, directory_visit visit, struct error *err)
{
    if (file_exists("/sys/fs/cgroup/cgroup.controllers"))
        return visit(victim, ".", err);
    return directory_each("/sys/fs/cgroup", visit, victim, err);
}

/* A process that stays: ourselves again, for /proc shows the environment a program was started with. */
_Noreturn static void become_staying(struct victim *victim, const char *mark)
{
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_free char *tether = text_format("%s/tether", victim->directory);
    const char *arguments[] = {"fleet-harness-victim", "stay", tether, NULL};
    const char *environment[] = {mark, NULL};

    (void)!each_hierarchy(victim, enter_group_in, &ignored);
    execve("/proc/self/exe", (char *const *)arguments, (char *const *)environment);
    _exit(127);
}

static int stay(const char *tether)
{
    int fd = open(tether, O_RDONLY);
    char byte;

    signal(SIGTERM, SIG_IGN);
    return fd >= 0 && read(fd, &byte, 1) == 0 ? 0 : 1;
}

static int start_plain(struct victim *victim, const char *mark, struct error *err)
{
    pid_t child = fork();

    if (child < 0)
        return error_set_errno(err, errno, "forking", NULL);
    if (child == 0)
        become_staying(victim, mark);
    return 0;
}

/* A daemon: its parent is gone, it is in a session of its own. */
static int start_daemon(struct victim *victim, const char *mark, struct error *err)
{
    pid_t child = fork();

    if (child < 0)
        return error_set_errno(err, errno, "forking", NULL);
    if (child == 0) {
        setsid();
        if (fork() == 0)
            become_staying(victim, mark);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return 0;
}

/* The first process of a PID namespace, and one inside it that does not carry the mark. */
static int start_namespace(struct victim *victim, const char *mark, struct error *err)
{
    pid_t child = fork();

    if (child < 0)
        return error_set_errno(err, errno, "forking", NULL);
    if (child == 0) {
        if (unshare(CLONE_NEWPID) < 0)
            _exit(126);
        if (fork() == 0) { /* PID 1 in there */
            if (fork() == 0)
                become_staying(victim, "UNMARKED=1");
            become_staying(victim, mark);
        }
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0 ? 0 : error_set_errno(err, EPERM, "making a PID namespace", NULL);
}

static int start(struct victim *victim, const char *name, int (*starter)(struct victim *, const char *, struct error *),
                 struct error *err)
{
    cleanup_free char *mark = run_mark(victim->run, name);
    cleanup_free char *journalled = text_format("%s journalled", name);

    if (run_journal(victim->run, RESOURCE_PROCESS, name, err) < 0 || announce(victim, journalled, err) < 0 ||
        starter(victim, mark, err) < 0)
        return -1;
    return announce(victim, name, err);
}

static int make_directory(struct victim *victim, struct error *err)
{
    cleanup_free char *path = text_format("%s/work", run_directory(victim->run));
    cleanup_free char *deep = text_format("%s/some/where/deep", path);
    cleanup_free char *file = text_format("%s/device.log", deep);

    if (run_journal(victim->run, RESOURCE_DIRECTORY, path, err) < 0 ||
        announce(victim, "directory journalled", err) < 0 || directory_create(deep, 0700, err) < 0 ||
        file_write_atomic(file, "log\n", 4, 0600, err) < 0)
        return -1;
    return announce(victim, "directory", err);
}

/* A group with one inside, in every hierarchy that lets us. */
static int make_group_in(void *context, const char *hierarchy, struct error *err)
{
    const struct victim *victim = context;
    cleanup_free char *group = text_format("/sys/fs/cgroup/%s/%s", hierarchy, victim->group);
    cleanup_free char *inner = text_format("%s/inner", group);

    (void)err;
    if (mkdir(group, 0755) == 0)
        (void)!mkdir(inner, 0755);
    return 0;
}

static int make_groups(struct victim *victim, struct error *err)
{
    victim->group = text_format("%s-victim", run_id(victim->run));
    if (run_journal(victim->run, RESOURCE_CGROUP, victim->group, err) < 0 ||
        announce(victim, "control group journalled", err) < 0)
        return -1;
    if (each_hierarchy(victim, make_group_in, err) < 0)
        return -1;
    return announce(victim, "control group", err);
}

static int make_mounts(struct victim *victim, struct error *err)
{
    cleanup_free char *path = text_format("%s/storage", run_directory(victim->run));
    cleanup_free char *below = text_format("%s/overlay", path);

    if (run_journal(victim->run, RESOURCE_PODMAN_STORAGE, path, err) < 0 || directory_create(below, 0700, err) < 0)
        return -1;
    if (mount("victim", path, "tmpfs", 0, NULL) < 0 || mkdir(below, 0700) < 0 ||
        mount(path, below, NULL, MS_BIND, NULL) < 0)
        return error_set_errno(err, errno, "mounting on", path);
    return announce(victim, "mounts", err);
}

static int live(struct victim *victim, struct error *err)
{
    const struct run_options options = {.label = "victim"};

    if (announce(victim, "begun", err) < 0 || run_start(&options, &victim->run, err) < 0 ||
        announce(victim, "run", err) < 0 || make_directory(victim, err) < 0 || make_groups(victim, err) < 0 ||
        start(victim, "plain", start_plain, err) < 0 || start(victim, "daemon", start_daemon, err) < 0 ||
        start(victim, "namespace", start_namespace, err) < 0 || make_mounts(victim, err) < 0)
        return -1;
    if (run_undo(victim->run, RESOURCE_PROCESS, "daemon", err) < 0 || announce(victim, "daemon undone", err) < 0 ||
        run_finish(TAKE_PTR(victim->run), err) < 0)
        return -1;
    return announce(victim, "finished", err);
}

int main(int argc, char **argv)
{
    cleanup_error struct error err = ERROR_INIT;

    if (argc == 3 && strcmp(argv[1], "stay") == 0)
        return stay(argv[2]);
    if (argc != 2) {
        fprintf(stderr, "usage: fleet-harness-victim DIRECTORY\n");
        return 64;
    }
    log_start("fleet-harness-victim");
    struct victim victim = {.directory = argv[1],
                            .life = open_fifo(argv[1], "life", O_WRONLY),
                            .control = open_fifo(argv[1], "control", O_RDONLY)};
    int result = live(&victim, &err);
    run_release(victim.run);
    free(victim.group);
    if (result == 0)
        return 0;
    log_failure("the victim could not go on", &err);
    return 1;
}
