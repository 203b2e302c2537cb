/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "harness/capability_probe.h"
#include "harness/doctor.h"
#include "harness/vm_accelerator.h"

/* Both texts are taken. */
static void add_quirk(struct quirk_list *list, char *title, char *explanation)
{
    list->items = memory_resize(list->items, list->count + 1, sizeof(*list->items));
    struct quirk *quirk = &list->items[list->count++];
    quirk->title = title;
    quirk->explanation = explanation;
}

void quirk_list_clear(struct quirk_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].title);
        free(list->items[i].explanation);
    }
    free(list->items);
    *list = (struct quirk_list){0};
}

static void find_limits(struct quirk_list *list)
{
    struct rlimit limit = {0};
    struct podman_needs needs;
    cleanup_error struct error no_podman = ERROR_INIT;

    if (hard_limits_can_be_raised() || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    cleanup_free char *measure =
        podman_needs_find(&needs, &no_podman) == 0
            ? text_format("our podman sets nofile=%ld and nproc=%ld for every container", needs.nofile, needs.nproc)
            : text_copy("our podman sets them explicitly for every container");
    add_quirk(list, text_format("hard limits cannot be raised (open files: %ju)", (uintmax_t)limit.rlim_max),
              text_format("Even root may not raise a hard limit here: CAP_SYS_RESOURCE is missing. A container runtime "
                          "that asks for its usual limits is refused (\"setrlimit: Operation not permitted\"), so %s.",
                          measure));
}

static int lower_oom_score(const void *context)
{
    cleanup_close int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    (void)context;
    return fd < 0 || write(fd, "-999", 4) != 4 ? errno : 0;
}

static void find_oom_score(struct quirk_list *list)
{
    if (try_in_child(lower_oom_score, NULL) != 0)
        add_quirk(list, text_copy("oom_score_adj cannot be lowered"),
                  text_copy("No process can be put under special protection from the out-of-memory killer. Podman's "
                            "containers do not need it; a Kubernetes sandbox would (containerd: "
                            "restrict_oom_score_adj = true)."));
}

static bool is_filesystem(const char *path, long type)
{
    struct statfs status;

    return statfs(path, &status) == 0 && (long)status.f_type == type;
}

static void find_control_groups(struct quirk_list *list)
{
    if (is_filesystem("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC))
        return; /* one version 2 hierarchy: what every runtime expects today */
    if (is_filesystem("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC))
        add_quirk(list, text_copy("control groups are hybrid: version 1, and version 2 beside it"),
                  text_copy("Controllers are divided between /sys/fs/cgroup/<controller> and /sys/fs/cgroup/unified. "
                            "Not every OCI runtime starts a container then, so each is tried. A sandboxed podman gets "
                            "a group of its own in every hierarchy."));
    else if (file_exists("/sys/fs/cgroup/memory") || file_exists("/sys/fs/cgroup/pids"))
        add_quirk(list, text_copy("control groups are version 1"),
                  text_copy("A sandboxed podman gets a group of its own in every hierarchy."));
    else
        add_quirk(list, text_copy("control groups are not mounted at /sys/fs/cgroup"),
                  text_copy("Containers need them. Mount them (mount -t cgroup2 none /sys/fs/cgroup), or give this "
                            "container its own."));
}

static void find_refused_runtimes(struct quirk_list *list)
{
    cleanup_text_list struct text_list refusals = {0};

    podman_refusals(&refusals);
    for (size_t i = 0; i < refusals.count; i++)
        add_quirk(list, text_copy("an OCI runtime does not work here"),
                  text_format("It was refused when it was tried, in its own words: %s.", refusals.items[i]));
}

static void find_init(struct quirk_list *list)
{
    /* sd_booted(3) is this test. */
    if (!file_exists("/run/systemd/system"))
        add_quirk(list, text_copy("systemd is not the init of this machine"),
                  text_copy("On this host, services are deployed as plain processes of the run, and nothing here asks "
                            "systemctl."));
}

/* Guests of this machine's own architecture: others are emulated anywhere. */
static void find_kvm(struct quirk_list *list)
{
    const struct vm_environment own = {.architecture = vm_host_architecture()};
    cleanup_vm_accelerator struct vm_accelerator accelerator = {0};

    if (!own.architecture)
        return;
    vm_accelerator_find(&own, &accelerator);
    if (text_equal(accelerator.name, "kvm"))
        return;
    add_quirk(
        list, text_format("%s guests are emulated: %s", own.architecture, accelerator.reason),
        text_format("That /dev/kvm is there or can be opened says little, so a guest is booted with it, once a boot "
                    "of this machine. Without KVM, guests run by emulation (tcg), several times slower. "
                    "%s=kvm or =tcg decides without a trial.",
                    VM_ACCELERATOR));
}

void quirks_find(struct quirk_list *ret)
{
    if (geteuid() == 0) { /* nobody else may anywhere */
        find_limits(ret);
        find_oom_score(ret);
    }
    find_control_groups(ret);
    find_refused_runtimes(ret);
    find_init(ret);
    find_kvm(ret);
}
