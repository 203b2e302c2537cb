/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_send(const char *state, struct error *err)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = path ? strlen(path) : 0;

    if (size == 0)
        return 0;
    if ((path[0] != '/' && path[0] != '@') || size >= sizeof(address.sun_path))
        return error_set_errno(err, EINVAL, "using NOTIFY_SOCKET", path);
    memcpy(address.sun_path, path, size);
    if (path[0] == '@') /* the abstract namespace: a leading NUL, no terminator */
        address.sun_path[0] = '\0';
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, address_size) < 0)
        return error_set_errno(err, errno, "notifying systemd at", path);
    return 0;
}

int64_t notify_watchdog_ms(void)
{
    const char *interval = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    long long microseconds = interval ? strtoll(interval, NULL, 10) : 0;

    if (microseconds <= 0 || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return microseconds / 1000;
}
