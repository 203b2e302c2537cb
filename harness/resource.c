/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/resource.h"

#include <string.h>

#include "harness/place.h"
#include "harness/resource_kubernetes.h"
#include "harness/resource_vm.h"

/* Control groups are made by us under this name only; anything else there belongs to somebody else. */
#define CGROUP_PREFIX RUN_ID_PREFIX
#define CGROUP_ROOT   "/sys/fs/cgroup"

char *shell_quote(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
    struct text_buffer quoted = {0};

    if (*text && strspn(text, plain) == strlen(text))
        return text_copy(text);
    text_buffer_add(&quoted, "'");
    for (const char *at = text; *at; at++) {
        if (*at == '\'')
            text_buffer_add(&quoted, "'\\''");
        else
            text_buffer_append(&quoted, at, 1);
    }
    text_buffer_add(&quoted, "'");
    return text_buffer_take(&quoted);
}

static int refuse(struct error *err, const char *kind, const char *name, const char *why)
{
    cleanup_free char *operation = text_format("checking %s", kind);

    return error_set(err, &general_error_domain, GENERAL_INVALID, operation, name, "%s", why);
}

/* Processes */

static int process_check(const struct run_place *place, const char *name, struct error *err)
{
    (void)place;
    if (!*name || strchr(name, '\n'))
        return refuse(err, "process mark", name, "it must be a word");
    return 0;
}

static int process_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err)
{
    cleanup_free char *mark = text_format(RUN_MARK "=%s/%s", place->id, name);

    return processes_end(mark, false, deadline, err);
}

static void process_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                             struct text_buffer *remove)
{
    cleanup_free char *mark = text_format(RUN_MARK "=%s/%s", place->id, name);
    cleanup_free char *quoted = shell_quote(mark);
    cleanup_free char *pids =
        text_format("grep -lzxF %s /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | xargs -r", quoted);

    text_buffer_format(inspect, "%s ps -o pid,ppid,etime,args", pids);
    text_buffer_format(remove, "%s kill -9", pids);
}

/* Directories */

static int directory_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err)
{
    (void)place;
    return tree_remove(name, deadline, err);
}

static void directory_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                               struct text_buffer *remove)
{
    cleanup_free char *quoted = shell_quote(name);

    (void)place;
    text_buffer_format(inspect, "ls -la %s", quoted);
    text_buffer_format(remove, "rm -rf --one-file-system %s", quoted);
}

static void storage_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                             struct text_buffer *remove)
{
    cleanup_free char *quoted = shell_quote(name);

    (void)place;
    text_buffer_format(inspect, "grep -F %s /proc/self/mountinfo; du -sh %s", quoted, quoted);
    text_buffer_format(remove,
                       "findmnt -rno TARGET | grep -F %s | sort -r | xargs -r umount -l; rm -rf --one-file-system %s",
                       quoted, quoted);
}

/* Control groups */

static int cgroup_check(const struct run_place *place, const char *name, struct error *err)
{
    (void)place;
    if (!text_starts_with(name, CGROUP_PREFIX) || strlen(name) == strlen(CGROUP_PREFIX))
        return refuse(err, "control group", name, "its name must begin with " CGROUP_PREFIX);
    if (strpbrk(name, "/\n"))
        return refuse(err, "control group", name, "it must be a name, not a path");
    return 0;
}

static int cgroup_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err)
{
    (void)place;
    return control_groups_remove(CGROUP_ROOT, name, deadline, err);
}

static void cgroup_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                            struct text_buffer *remove)
{
    cleanup_free char *quoted = shell_quote(name);

    (void)place;
    text_buffer_format(inspect, "find " CGROUP_ROOT " -path '*/'%s'/*' -name cgroup.procs -print -exec cat {} +",
                       quoted);
    text_buffer_format(remove,
                       "find " CGROUP_ROOT " -depth -type d \\( -name %s -o -path '*/'%s'/*' \\) -exec rmdir {} +",
                       quoted, quoted);
}

static const struct resource_type types[] = {
    [RESOURCE_PROCESS] = {"process", process_check, process_undo, process_describe},
    [RESOURCE_DIRECTORY] = {"directory", removable_check, directory_undo, directory_describe},
    [RESOURCE_PODMAN_STORAGE] = {"podman-storage", removable_check, directory_undo, storage_describe},
    [RESOURCE_CGROUP] = {"cgroup", cgroup_check, cgroup_undo, cgroup_describe},
    [RESOURCE_DOMAIN] = {"domain", domain_check, domain_undo, domain_describe},
    [RESOURCE_LIBVIRT_NETWORK] = {"libvirt-network", libvirt_network_check, libvirt_network_undo,
                                  libvirt_network_describe},
    [RESOURCE_VOLUME] = {"volume", removable_check, volume_undo, volume_describe},
    [RESOURCE_SAVED_STATE] = {"saved-state", removable_check, volume_undo, volume_describe},
    [RESOURCE_NETWORK_NAMESPACE] = {"network-namespace", network_namespace_check, network_namespace_undo,
                                    network_namespace_describe},
    [RESOURCE_REGISTRY] = {"registry", process_check, process_undo, process_describe},
    [RESOURCE_KUBE_NAMESPACE] = {"kube-namespace", kube_namespace_check, kube_namespace_undo, kube_namespace_describe},
};

const struct resource_type *resource_type(enum resource_kind kind)
{
    return &types[kind];
}

const struct resource_type *resource_type_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (text_equal(types[i].name, name))
            return &types[i];
    }
    return NULL;
}
