/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process_identity.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/test.h"

/* A number that was given out to another process is not the process that had it. */
FLEET_TEST(process_identity, start_time_tells_processes_apart)
{
    struct process_identity self = {0};

    TRY(process_identity_of(getpid(), &self, err));
    CHECK(process_identity_alive(&self), "we do not run");
    self.start++;
    CHECK(!process_identity_alive(&self), "another start time is the same process");
    CHECK(process_identity_open(&self) == -1, "another process was opened");
    return 0;
}

FLEET_TEST(process_identity, zombie_does_not_run)
{
    struct process_identity child = {0};
    pid_t pid = fork();

    CHECK(pid >= 0, "fork: %m");
    if (pid == 0) {
        pause();
        _exit(0);
    }
    TRY(process_identity_of(pid, &child, err));
    cleanup_close int pidfd = process_identity_open(&child);
    CHECK(pidfd >= 0, "it cannot be opened");
    pidfd_kill(pidfd, SIGKILL);
    CHECK(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 10000) == 1, "it does not end");
    CHECK(!process_identity_alive(&child), "a zombie runs");
    CHECK_FAILS(process_identity_of(pid, &child, err), system_error_domain, ESRCH);
    CHECK(waitpid(pid, NULL, 0) == pid, "waitpid: %m");
    pidfd_kill(pidfd, SIGKILL); /* of nobody: fine */
    return 0;
}

FLEET_TEST(process_identity, reads_numbers)
{
    CHECK(process_number("12") == 12 && process_number("7 (sh)") == 7, "a number was not read");
    CHECK(process_number("") == 0 && process_number("self") == 0 && process_number("-1") == 0, "no number was read");
    CHECK(process_number("99999999999999") == 0, "too large a number was read");
    return 0;
}
