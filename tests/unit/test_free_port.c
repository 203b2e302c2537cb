/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/free_port.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/file.h"
#include "harness/test.h"

FLEET_TEST(free_port, can_be_bound_and_is_nobodys_outgoing_port)
{
    cleanup_free char *range = NULL;
    size_t size;

    TRY(file_read("/proc/sys/net/ipv4/ip_local_port_range", 64, &range, &size, err));
    long first = strtol(range, NULL, 10);
    CHECK(first > 0, "the system's range is %s", range);
    for (int i = 0; i < 100; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int port;

        TRY(free_port_find(&port, err));
        CHECK(port >= 1024 && port < 65536, "port %d", port);
        CHECK(port < first || first < 11264, "port %d is in the system's range, which begins at %ld", port, first);
        address.sin_port = htons((uint16_t)port);
        CHECK(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "port %d cannot be bound", port);
    }
    return 0;
}
