/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/process.h"
#include "harness/program.h"
#include "harness/resource_vm.h"

#define RETRY_PAUSE_MS 50

int libvirt_name_split(const char *name, char **uri, const char **object)
{
    const char *space = strrchr(name, ' ');

    if (!space)
        return -1;
    *uri = text_copy_n(name, (size_t)(space - name));
    *object = space + 1;
    return 0;
}

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = digit ? strchr(digits, digit | 0x20) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* "%20" and the like, in place. */
static void decode_percent(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        int high = from[0] == '%' ? hex_value(from[1]) : -1;
        int low = high >= 0 ? hex_value(from[2]) : -1;
        if (low >= 0)
            *to = (char)(high * 16 + low);
        else
            *to = *from;
        from += low >= 0 ? 3 : 1;
    }
    *to = '\0';
}

char *libvirt_uri_socket(const char *uri)
{
    const char *parameter = strchr(uri, '?');

    while (parameter) {
        parameter++;
        if (text_starts_with(parameter, "socket=")) {
            parameter += strlen("socket=");
            char *path = text_copy_n(parameter, strcspn(parameter, "&#"));
            decode_percent(path);
            return path;
        }
        parameter = strchr(parameter, '&');
    }
    return NULL;
}

/* Nobody listens on the socket the URI names: its daemon has ended. Where it names none, nobody can tell. */
static bool daemon_is_gone(const char *uri)
{
    cleanup_free char *path = libvirt_uri_socket(uri);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!path || strlen(path) >= sizeof(address.sun_path))
        return false;
    memcpy(address.sun_path, path, strlen(path));
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
           (errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED);
}

int libvirt_object_remove(const char *kind, const char *name, struct deadline deadline, struct error *err)
{
    static const char *const environment[] = {"LIBVIRT_AUTOSTART=0", NULL}; /* no daemon is started for this */
    cleanup_free char *program = NULL;
    cleanup_free char *uri = NULL;
    const char *object = NULL;

    if (libvirt_name_split(name, &uri, &object) < 0)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "removing", name, "it has no connection URI");
    while (!daemon_is_gone(uri)) {
        cleanup_error struct error failure = ERROR_INIT;
        if (!program && program_find("fleet-libvirt-remove", &program, err) < 0)
            return -1;
        const char *const argv[] = {program, kind, uri, object, NULL};
        const struct process_options options = {.argv = argv, .environment = environment, .die_with_parent = true};
        if (process_run_checked(&options, deadline, NULL, &failure) == 0)
            return 0;
        if (deadline_passed(deadline))
            return error_set(err, &system_error_domain, EBUSY, "removing", name, "%s", error_root_detail(&failure));
        poll(NULL, 0, RETRY_PAUSE_MS);
    }
    return 0;
}
