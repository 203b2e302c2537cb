/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "harness/test.h"

/** Be systemd: bind a datagram socket and name it in NOTIFY_SOCKET. */
static int bind_notify_socket(const char *path, int *ret, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    CHECK(fd >= 0 &&
              bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) == 0,
          "binding %s: %s", path, strerror(errno));
    setenv("NOTIFY_SOCKET", path, 1);
    *ret = TAKE_FD(fd);
    return 0;
}

static int check_arrives(const char *path, struct error *err)
{
    cleanup_close int fd = -1;
    char received[64] = {0};

    TRY(bind_notify_socket(path, &fd, err));
    TRY(notify_send("READY=1", err));
    CHECK(recv(fd, received, sizeof(received) - 1, MSG_DONTWAIT) == 7 && text_equal(received, "READY=1"),
          "received \"%s\"", received);
    return 0;
}

FLEET_TEST(notify, reaches_a_path)
{
    cleanup_free char *path = text_format("/tmp/fleet-notify-%d", getpid());
    int result = check_arrives(path, err);

    unlink(path);
    return result;
}

FLEET_TEST(notify, reaches_an_abstract_socket)
{
    cleanup_free char *path = text_format("@fleet-notify-%d", getpid());

    return check_arrives(path, err);
}

FLEET_TEST(notify, without_systemd_does_nothing)
{
    unsetenv("NOTIFY_SOCKET");
    TRY(notify_send("READY=1", err));
    setenv("NOTIFY_SOCKET", "", 1);
    TRY(notify_send("READY=1", err));
    return 0;
}

FLEET_TEST(notify, unusable_socket_is_told)
{
    setenv("NOTIFY_SOCKET", "relative", 1);
    CHECK_FAILS(notify_send("READY=1", err), system_error_domain, EINVAL);
    setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    CHECK_FAILS(notify_send("READY=1", err), system_error_domain, ENOENT);
    return 0;
}

FLEET_TEST(notify, watchdog_is_for_the_named_process)
{
    cleanup_free char *pid = text_format("%d", getpid());

    unsetenv("WATCHDOG_USEC");
    CHECK(notify_watchdog_ms() == 0, "wanted though not asked for");
    setenv("WATCHDOG_USEC", "30000000", 1);
    unsetenv("WATCHDOG_PID");
    CHECK(notify_watchdog_ms() == 30000, "%d ms", (int)notify_watchdog_ms());
    setenv("WATCHDOG_PID", pid, 1);
    CHECK(notify_watchdog_ms() == 30000, "%d ms", (int)notify_watchdog_ms());
    setenv("WATCHDOG_PID", "1", 1);
    CHECK(notify_watchdog_ms() == 0, "wanted of another process");
    return 0;
}
