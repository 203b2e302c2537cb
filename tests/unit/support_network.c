/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support_network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/mount_namespace.h"
#include "base/text.h"

int network_bring_up_loopback(struct error *err)
{
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};

    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return error_set_errno(err, errno, "reading the flags of", "lo");
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return error_set_errno(err, errno, "bringing up", "lo");
    return 0;
}

int network_without_names(const char *directory, int *ret_socket, struct error *err)
{
    static const char server[] = "nameserver 127.0.0.1\n";
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_free char *path = text_format("%s/resolv.conf", directory);

    if (file_write_atomic(path, server, strlen(server), 0644, err) < 0)
        return -1;
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 || mount_namespace_isolate() < 0 ||
        mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
        return error_set_errno(err, errno, "creating namespaces", NULL);
    if (network_bring_up_loopback(err) < 0)
        return -1;
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return error_set_errno(err, errno, "listening", "127.0.0.1:53");
    *ret_socket = TAKE_FD(fd);
    return 0;
}
