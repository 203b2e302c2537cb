/* SPDX-License-Identifier: Apache-2.0 */
#include "messaging/handshake.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NATS_PORT 4222

uint16_t nats_url_port(const char *url)
{
    const char *authority = strstr(url, "://");
    const char *host_end;
    const char *colon;

    authority = authority ? authority + 3 : url;
    const char *at = strrchr(authority, '@');
    if (at)
        authority = at + 1;
    host_end = authority[0] == '[' ? strchr(authority, ']') : authority;
    colon = host_end ? strchr(host_end, ':') : NULL;
    if (!colon)
        return NATS_PORT;
    long port = strtol(colon + 1, NULL, 10);
    return port > 0 && port <= UINT16_MAX ? (uint16_t)port : NATS_PORT;
}

/** Port of the peer of a TCP socket, 0 for any other descriptor. */
static uint16_t peer_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    int type = 0;
    socklen_t type_size = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) < 0 || type != SOCK_STREAM ||
        getpeername(fd, (struct sockaddr *)&address, &size) < 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

static bool is_wanted(uint16_t port, const uint16_t *ports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (port == ports[i])
            return true;
    }
    return false;
}

int handshakes_break(const uint16_t *ports, size_t count)
{
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    int broken = 0;

    if (!directory)
        return 0;
    while ((entry = readdir(directory))) {
        int fd = entry->d_name[0] == '.' ? -1 : (int)strtol(entry->d_name, NULL, 10);
        uint16_t port = fd >= 0 ? peer_port(fd) : 0;

        if (port != 0 && is_wanted(port, ports, count) && shutdown(fd, SHUT_RDWR) == 0)
            broken++;
    }
    closedir(directory);
    return broken;
}
