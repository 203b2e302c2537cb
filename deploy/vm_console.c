/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/vm_console.h"

#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "deploy/log_tail.h"

#define CONSOLE_MAX (16u << 20)

struct console_wait {
    const struct hypervisor *hypervisor;
    const char *domain;
    const char *path;
    const char *text;
    int events_fd;
};

static int ended(const struct console_wait *wait, const char *how, struct error *err)
{
    cleanup_free char *tail = log_tail(wait->path);

    return error_set(err, &general_error_domain, GENERAL_FAILED, "running guest", wait->domain,
                     "%s; its console ends:\n%s", how, tail);
}

static int check_active(const struct console_wait *wait, struct error *err)
{
    CLEANUP(domain_release) virDomainPtr domain = NULL;

    if (hypervisor_find_domain(wait->hypervisor, wait->domain, &domain, err) < 0)
        return -1;
    return domain && virDomainIsActive(domain) == 1 ? 0 : ended(wait, "the domain ended", err);
}

static int has_text(void *context, struct text_buffer *state, struct error *err)
{
    const struct console_wait *wait = context;
    cleanup_free char *console = NULL;
    char events[4096];
    size_t size;

    while (read(wait->events_fd, events, sizeof(events)) > 0)
        continue;
    if (file_read(wait->path, CONSOLE_MAX, &console, &size, err) < 0)
        return -1;
    if (memmem(console, size, wait->text, strlen(wait->text)))
        return 1;
    if (memmem(console, size, "Kernel panic", strlen("Kernel panic")))
        return ended(wait, "its kernel panicked", err);
    cleanup_free char *tail = log_tail(wait->path);
    text_buffer_format(state, "the console ends:\n%s", tail);
    return check_active(wait, err);
}

int vm_console_wait(const struct hypervisor *hypervisor, const char *domain, const char *path, const char *text,
                    struct deadline deadline, struct error *err)
{
    cleanup_close int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    cleanup_free char *what = text_format("\"%s\" on the console of %s", text, domain);
    struct console_wait wait = {hypervisor, domain, path, text, events};
    const struct wait_options options = {.wake_fd = events};

    if (events < 0 || inotify_add_watch(events, path, IN_MODIFY) < 0)
        return error_set_errno(err, errno, "watching", path);
    return wait_until(what, has_text, &wait, &options, deadline, err);
}
