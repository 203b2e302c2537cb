/* SPDX-License-Identifier: Apache-2.0 */
#include "images/vm/identity_live.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/rtc.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

#define NETWORK_CARDS "/sys/class/net"

int identity_live_random(const struct seed *seed, struct error *err)
{
    static const char device[] = "/dev/random";
    struct timespec clocks[2] = {0};
    (void)clock_gettime(CLOCK_REALTIME, &clocks[0]);
    (void)clock_gettime(CLOCK_MONOTONIC_RAW, &clocks[1]);
    cleanup_free struct rand_pool_info *pool = memory_new(1, sizeof(*pool) + seed->random_size);
    pool->entropy_count = (int)seed->random_size * 8;
    pool->buf_size = (int)seed->random_size;
    memcpy(pool->buf, seed->random, seed->random_size);
    cleanup_close int fd = open(device, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, clocks, sizeof(clocks)) < 0 || ioctl(fd, RNDADDENTROPY, pool) < 0 ||
        ioctl(fd, RNDRESEEDCRNG) < 0)
        return error_set_errno(err, errno, "seeding the random number generator", device);
    return 0;
}

int identity_live_clock(struct error *err)
{
    static const char device[] = "/dev/rtc0";
    struct rtc_time hardware = {0};
    cleanup_close int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, RTC_RD_TIME, &hardware) < 0)
        return error_set_errno(err, errno, "reading the clock", device);
    struct tm broken_down = {.tm_sec = hardware.tm_sec,
                             .tm_min = hardware.tm_min,
                             .tm_hour = hardware.tm_hour,
                             .tm_mday = hardware.tm_mday,
                             .tm_mon = hardware.tm_mon,
                             .tm_year = hardware.tm_year};
    /* It tells whole seconds; the middle of one is at most half a second wrong. */
    struct timespec right = {.tv_sec = timegm(&broken_down), .tv_nsec = 500000000};
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != right.tv_sec && clock_settime(CLOCK_REALTIME, &right) < 0)
        return error_set_errno(err, errno, "setting the clock", NULL);
    return 0;
}

int identity_live_hostname(const char *hostname, struct error *err)
{
    if (sethostname(hostname, strlen(hostname)) < 0)
        return error_set_errno(err, errno, "setting the hostname", hostname);
    return 0;
}

/* The first (in the order of names) that is a device, not a bridge or the like. Caller frees; NULL without one. */
static char *find_card(void)
{
    char *first = NULL;
    DIR *directory = opendir(NETWORK_CARDS);
    for (struct dirent *entry = directory ? readdir(directory) : NULL; entry; entry = readdir(directory)) {
        cleanup_free char *device = text_format(NETWORK_CARDS "/%s/device", entry->d_name);
        if (entry->d_name[0] == '.' || access(device, F_OK) < 0 || (first && strcmp(first, entry->d_name) <= 0))
            continue;
        free(first);
        first = text_copy(entry->d_name);
    }
    if (directory)
        (void)closedir(directory);
    return first;
}

int identity_live_mac(const struct seed *seed, struct error *err)
{
    struct ifreq request = {0};
    if (!seed->has_mac)
        return 0;
    cleanup_free char *card = find_card();
    if (!card)
        return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking for a network card", NETWORK_CARDS,
                         "there is none");
    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", card);
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return error_set_errno(err, errno, "asking for the MAC address of", card);
    if (memcmp(request.ifr_hwaddr.sa_data, seed->mac, sizeof(seed->mac)) == 0)
        return 0;
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, seed->mac, sizeof(seed->mac));
    if (ioctl(fd, SIOCSIFHWADDR, &request) < 0)
        return error_set_errno(err, errno, "setting the MAC address of", card);
    return 0;
}

/* True if the process's name, as the kernel has it, is `name`. */
static bool is_called(const char *pid, const char *name)
{
    cleanup_free char *path = text_format("/proc/%s/comm", pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char found[32] = "";
    ssize_t size = fd < 0 ? -1 : read(fd, found, sizeof(found) - 1);
    return size > 0 && strcspn(found, "\n") == strlen(name) && strncmp(found, name, strlen(name)) == 0;
}

void identity_live_journal(void)
{
    DIR *processes = opendir("/proc");
    for (struct dirent *entry = processes ? readdir(processes) : NULL; entry; entry = readdir(processes)) {
        char *end = NULL;
        long pid = strtol(entry->d_name, &end, 10);
        if (pid > 1 && *end == '\0' && is_called(entry->d_name, "systemd-journal"))
            (void)kill((pid_t)pid, SIGTERM); /* Restart=always; its clients' sockets stay with systemd */
    }
    if (processes)
        (void)closedir(processes);
}
