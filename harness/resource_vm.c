/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/resource_vm.h"

#include <string.h>

#include "base/file.h"
#include "harness/place.h"

#define NETWORK_NAMESPACES "/run/netns"
#define NAME_CHARACTERS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

static int refuse(struct error *err, const char *operation, const char *name, const char *why)
{
    return error_set(err, &general_error_domain, GENERAL_INVALID, operation, name, "%s", why);
}

/* One word of plain characters that begins with `prefix` and does not end there. */
static bool is_ours(const char *name, const char *prefix)
{
    return text_starts_with(name, prefix) && strlen(name) > strlen(prefix) &&
           strspn(name, NAME_CHARACTERS) == strlen(name);
}

/* Domains */

int domain_check(const struct run_place *place, const char *name, struct error *err)
{
    static const char operation[] = "checking domain";
    cleanup_free char *uri = NULL;
    const char *object = NULL;

    (void)place;
    if (libvirt_name_split(name, &uri, &object) < 0 || !*uri || strpbrk(uri, " \t\n"))
        return refuse(err, operation, name, "it must be a connection URI, a blank, and the domain's name");
    if (!is_ours(object, DOMAIN_PREFIX))
        return refuse(err, operation, name, "the domain's name must begin with " DOMAIN_PREFIX);
    return 0;
}

int domain_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err)
{
    (void)place;
    return libvirt_object_remove("domain", name, deadline, err);
}

/* "virsh -c URI"; *object is its name, quoted. Caller frees both. */
static char *virsh(const char *name, char **object)
{
    cleanup_free char *uri = NULL;
    const char *plain = name;

    if (libvirt_name_split(name, &uri, &plain) < 0)
        uri = text_copy("");
    cleanup_free char *quoted = shell_quote(uri);
    *object = shell_quote(plain);
    return text_format("virsh -c %s", quoted);
}

void domain_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                     struct text_buffer *remove)
{
    cleanup_free char *object = NULL;
    cleanup_free char *command = virsh(name, &object);

    (void)place;
    text_buffer_format(inspect, "%s dominfo %s", command, object);
    text_buffer_format(remove,
                       "%s destroy %s; %s undefine %s --managed-save --snapshots-metadata --checkpoints-metadata "
                       "--nvram",
                       command, object, command, object);
}

/* Virtual networks */

/* A hypervisor of the run's own may have networks of any name: libvirt comes with one called "default". */
static bool is_of_this_run(const struct run_place *place, const char *uri)
{
    cleanup_error struct error elsewhere = ERROR_INIT;
    cleanup_free char *path = libvirt_uri_socket(uri);

    return path && removable_check(place, path, &elsewhere) == 0;
}

int libvirt_network_check(const struct run_place *place, const char *name, struct error *err)
{
    static const char operation[] = "checking virtual network";
    cleanup_free char *uri = NULL;
    const char *object = NULL;

    if (libvirt_name_split(name, &uri, &object) < 0 || !*uri || strpbrk(uri, " \t\n"))
        return refuse(err, operation, name, "it must be a connection URI, a blank, and the network's name");
    if (!is_ours(object, is_of_this_run(place, uri) ? "" : RUN_ID_PREFIX))
        return refuse(err, operation, name,
                      "the network's name must begin with " RUN_ID_PREFIX " unless the hypervisor is the run's own");
    return 0;
}

int libvirt_network_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err)
{
    (void)place;
    return libvirt_object_remove("network", name, deadline, err);
}

void libvirt_network_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                              struct text_buffer *remove)
{
    cleanup_free char *object = NULL;
    cleanup_free char *command = virsh(name, &object);

    (void)place;
    text_buffer_format(inspect, "%s net-info %s; %s net-dhcp-leases %s", command, object, command, object);
    text_buffer_format(remove, "%s net-destroy %s; %s net-undefine %s", command, object, command, object);
}

/* Files */

int volume_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err)
{
    (void)place;
    (void)deadline; /* a file in use can be removed */
    return file_remove(name, err);
}

void volume_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                     struct text_buffer *remove)
{
    cleanup_free char *quoted = shell_quote(name);

    (void)place;
    text_buffer_format(inspect, "ls -ls %s", quoted);
    text_buffer_format(remove, "rm -f %s", quoted);
}

/* Network namespaces */

int network_namespace_check(const struct run_place *place, const char *name, struct error *err)
{
    (void)place;
    if (!is_ours(name, RUN_ID_PREFIX))
        return refuse(err, "checking network namespace", name, "it must be a name that begins with " RUN_ID_PREFIX);
    return 0;
}

int network_namespace_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err)
{
    (void)place;
    return network_namespace_remove(NETWORK_NAMESPACES, name, deadline, err);
}

void network_namespace_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                                struct text_buffer *remove)
{
    cleanup_free char *quoted = shell_quote(name);

    (void)place;
    /* nsenter and not `ip netns exec`, which hides the control groups */
    text_buffer_format(inspect,
                       "ip netns pids %s | xargs -r ps -o pid,args; nsenter --net=" NETWORK_NAMESPACES "/%s ip "
                       "address",
                       quoted, quoted);
    text_buffer_format(remove, "ip netns delete %s", quoted);
}
