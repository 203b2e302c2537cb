/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fleet-identity: gives a guest the identity its seed disk tells (seed.h).
 *
 *     fleet-identity boot    run by the initramfs before PID 1, in the guest's root file system: writes a device's
 *                            identity into its files; in a guest that is going to be saved leaves /run/fleet-pristine
 *     fleet-identity wait    run in such a guest once it is up: says "ready", waits, also after it was restored, for
 *                            the seed of a device, and makes the running guest that device
 *
 * It speaks on the console: "fleet-identity: …".
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "images/vm/identity_files.h"
#include "images/vm/identity_live.h"
#include "images/vm/seed.h"

#define PRISTINE_MARK  "/run/fleet-pristine"
#define BLOCK_DEVICES  "/sys/class/block"
#define SEED_SERIAL    "fleet-seed"
#define LOOK_PERIOD_NS 20000000

/* One write a line: the console has other writers. */
static void say(const char *format, ...) PRINTF_LIKE(1, 2);
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *text = text_format_v(format, arguments);
    va_end(arguments);
    cleanup_free char *line = text_format("fleet-identity: %s\n", text);
    cleanup_close int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (write(console < 0 ? STDERR_FILENO : console, line, strlen(line)) < 0)
        return; /* nobody is left to tell */
}

static void say_error(const struct error *err)
{
    cleanup_free char *text = error_text(err);
    say("%s", text);
}

/* ── the seed's disk ── */

static bool has_seed_serial(const char *device)
{
    cleanup_free char *path = text_format(BLOCK_DEVICES "/%s/serial", device);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char serial[32] = "";
    ssize_t size = fd < 0 ? -1 : read(fd, serial, sizeof(serial) - 1);
    return size > 0 && strcspn(serial, "\n") == strlen(SEED_SERIAL) && text_starts_with(serial, SEED_SERIAL);
}

/* Opened past the page cache: another's writing to the disk causes no event here. */
static int open_seed_disk(int *ret, struct error *err)
{
    cleanup_free char *path = NULL;
    DIR *devices = opendir(BLOCK_DEVICES);
    for (struct dirent *entry = devices ? readdir(devices) : NULL; entry && !path; entry = readdir(devices))
        if (has_seed_serial(entry->d_name))
            path = text_format("/dev/%s", entry->d_name);
    if (devices)
        (void)closedir(devices);
    if (!path)
        return error_set(err, &seed_error_domain, SEED_ABSENT, "looking for the seed", NULL,
                         "there is no disk with the serial number " SEED_SERIAL);
    int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "opening the seed", path);
    *ret = fd;
    return 0;
}

static int read_seed(int fd, struct seed *ret, struct error *err)
{
    static char block[SEED_SIZE] __attribute__((aligned(4096)));
    ssize_t size = pread(fd, block, sizeof(block), 0);
    if (size < 0)
        return error_set_errno(err, errno, "reading the seed", NULL);
    return seed_parse(block, (size_t)size, ret, err);
}

/* ── boot ── */

/* A machine-id of its own until it gets a device's; systemd would mount one over the file, which then could not be replaced. */
static int boot_pristine(struct error *err)
{
    char machine_id[33];
    bool changed = false;
    text_random_hex(machine_id, sizeof(machine_id));
    if (identity_files_write_machine_id("", machine_id, &changed, err) < 0)
        return -1;
    cleanup_close int mark = open(PRISTINE_MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return mark < 0 ? error_set_errno(err, errno, "making", PRISTINE_MARK) : 0;
}

static int boot(struct error *err)
{
    cleanup_close int fd = -1;
    cleanup_seed struct seed seed = {0};
    bool changed = false;
    if (open_seed_disk(&fd, err) < 0 || read_seed(fd, &seed, err) < 0)
        return -1;
    if (seed.kind == SEED_PRISTINE)
        return boot_pristine(err);
    if (identity_live_random(&seed, err) < 0)
        return -1;
    return identity_files_write("", &seed, &changed, err);
}

/* ── wait ── */

static int apply(const struct seed *seed, struct error *err)
{
    bool changed = false;
    if (identity_live_random(seed, err) < 0 || identity_live_clock(err) < 0 ||
        identity_files_write("", seed, &changed, err) < 0 || identity_live_hostname(seed->hostname, err) < 0 ||
        identity_live_mac(seed, err) < 0)
        return -1;
    identity_live_journal();
    (void)unlink(PRISTINE_MARK);
    return 0;
}

/* What cannot be taken is told, once until something else is wrong with it, and looked at again. */
static void tell_refused(const struct error *refused, char **told)
{
    cleanup_free char *text = error_text(refused);
    if (error_is(refused, &seed_error_domain, SEED_INCOMPLETE) || text_equal(text, *told))
        return;
    say("%s", text);
    free(*told);
    *told = TAKE_PTR(text);
}

static int wait_for_device(struct error *err)
{
    static const struct timespec period = {.tv_nsec = LOOK_PERIOD_NS};
    cleanup_free char *told = NULL;
    cleanup_close int fd = -1;
    if (open_seed_disk(&fd, err) < 0)
        return -1;
    say("ready");
    for (;; (void)nanosleep(&period, NULL)) {
        cleanup_error struct error refused = ERROR_INIT;
        cleanup_seed struct seed seed = {0};
        if (read_seed(fd, &seed, &refused) < 0) {
            tell_refused(&refused, &told);
        } else if (seed.kind == SEED_DEVICE) {
            if (apply(&seed, err) < 0)
                return -1;
            say("applied %s", seed.hostname);
            return 0;
        }
    }
}

int main(int argc, char **argv)
{
    cleanup_error struct error err = ERROR_INIT;
    int result = -1;
    if (argc == 2 && text_equal(argv[1], "boot"))
        result = boot(&err);
    else if (argc == 2 && text_equal(argv[1], "wait"))
        result = wait_for_device(&err);
    else {
        (void)fputs("usage: fleet-identity boot|wait\n", stderr);
        return 64;
    }
    if (result < 0)
        say_error(&err);
    return result < 0 ? 1 : 0;
}
