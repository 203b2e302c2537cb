/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/criterion_leftovers.h"
#include "harness/test.h"

static void socket_path(pid_t pid, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof(ret->sun_path), "/tmp/criterion_%d.sock", (int)pid);
}

/** A socket file as Criterion's runner of process `pid` would leave it; nobody listens. */
static int leave_socket(pid_t pid, struct sockaddr_un *ret, struct error *err)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    socket_path(pid, ret);
    if (fd < 0 || bind(fd, (const struct sockaddr *)ret, sizeof(*ret)) < 0)
        return error_set_errno(err, errno, "binding", ret->sun_path);
    return 0;
}

/** A process that has ended; its number is not given out again for a while. */
static int dead_process(pid_t *ret, struct error *err)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    if (pid < 0 || waitpid(pid, NULL, 0) < 0)
        return error_set_errno(err, errno, "forking", NULL);
    *ret = pid;
    return 0;
}

FLEET_TEST(criterion_leftovers, only_sockets_of_the_dead_go)
{
    struct sockaddr_un dead;
    struct sockaddr_un living;
    pid_t pid;

    TRY(dead_process(&pid, err));
    TRY(leave_socket(pid, &dead, err));
    TRY(leave_socket(getpid(), &living, err));
    criterion_leftovers_prune();
    bool dead_is_left = file_exists(dead.sun_path);
    bool living_is_left = file_exists(living.sun_path);
    unlink(dead.sun_path);
    unlink(living.sun_path);
    CHECK(!dead_is_left, "the socket of a dead process stays");
    CHECK(living_is_left, "the socket of a living process is gone");
    return 0;
}

FLEET_TEST(criterion_leftovers, shared_memory_of_the_dead_goes)
{
    pid_t pid;

    TRY(dead_process(&pid, err));
    cleanup_free char *dead = text_format("/dev/shm/bxfi_%d", (int)pid);
    TRY(file_write_atomic(dead, "", 0, 0600, err));
    criterion_leftovers_prune();
    bool dead_is_left = file_exists(dead);
    unlink(dead);
    CHECK(!dead_is_left, "the shared memory of a dead process stays");
    return 0;
}

FLEET_TEST(criterion_leftovers, what_is_no_socket_stays)
{
    struct sockaddr_un address;
    pid_t pid;

    TRY(dead_process(&pid, err));
    socket_path(pid, &address);
    TRY(file_write_atomic(address.sun_path, "", 0, 0600, err));
    criterion_leftovers_prune();
    bool is_left = file_exists(address.sun_path);
    unlink(address.sun_path);
    CHECK(is_left, "a file was taken for a socket");
    return 0;
}
