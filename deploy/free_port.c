/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/free_port.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/file.h"

enum {
    LOWEST = 10240,       /* above what packages use */
    LOWEST_USUAL = 32768, /* where Linux's own range begins unless somebody changed it */
    LOWEST_ROOM = 1024,   /* fewer ports than this below the system's range: do without the range */
    ATTEMPTS = 256,
};

/** First port of net.ipv4.ip_local_port_range. */
static int first_ephemeral_port(void)
{
    cleanup_error struct error ignored = ERROR_INIT;
    cleanup_free char *text = NULL;
    size_t size;

    if (file_read("/proc/sys/net/ipv4/ip_local_port_range", 64, &text, &size, &ignored) < 0)
        return LOWEST_USUAL;
    long first = strtol(text, NULL, 10);
    return first >= LOWEST + LOWEST_ROOM && first <= UINT16_MAX ? (int)first : LOWEST_USUAL;
}

int free_port_find(int *ret, struct error *err)
{
    unsigned span = (unsigned)(first_ephemeral_port() - LOWEST);

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        unsigned random;

        if (fd < 0 || getrandom(&random, sizeof(random), 0) != sizeof(random))
            return error_set_errno(err, errno, "finding", "a free port");
        int port = LOWEST + (int)(random % span);
        address.sin_port = htons((uint16_t)port);
        /* Every address: what is bound to one of them only still holds the port. */
        if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
            *ret = port;
            return 0;
        }
        if (errno != EADDRINUSE && errno != EACCES)
            return error_set_errno(err, errno, "finding", "a free port");
    }
    return error_set(err, &general_error_domain, GENERAL_FAILED, "finding", "a free port", "%d random ones were taken",
                     ATTEMPTS);
}
