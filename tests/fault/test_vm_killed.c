/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/capability.h"
#include "harness/test.h"
#include "harness/test_gate.h"
#include "harness/vm_environment.h"
#include "tests/fault/kill_in_phase.h"
#include "tests/vm/vm_scenario.h"

#define SNAPSHOT_PHASE "make snapshot (once)"
/* Well into it: a guest boots meanwhile. */
#define SNAPSHOT_MS 2000

/* The phases below are those of a device that is restored, whatever else the tests run with. */
static void choose_snapshots(void)
{
    setenv(VM_BASE, "snapshot", 1);
}

FLEET_TEST(vm_killed, stack_that_is_up_leaves_nothing, .gate = "vm", VM_NEEDS)
{
    const char *const nats = test_gate_is_open("pod") ? "fleet-relay" : "nats-server"; /* where NATS is in a Pod */
    const char *const parts[] = {"qemu-system-",    "dnsmasq",           "libvirtd",     nats,
                                 "docker-registry", "network namespace", "run directory"};
    cleanup_victim_report struct victim_report report = {0};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    TRY(kill_victim(run, (struct victim_moment){.stack = "vm", .delay_ms = -1}, &report, err));
    /* What is searched for was found while it was there. */
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        CHECK(strstr(report.found, parts[i]), "no %s was found before the kill: %s", parts[i], report.found);
    return 0;
}

/* A bring-up takes seconds: only the phases between which more is there than before. */
FLEET_TEST(vm_killed, bring_up_leaves_nothing_in_any_phase, .gate = "vm", VM_NEEDS)
{
    static const char *const phases[] = {"hypervisor", "registry", "VM restore", "VM sshd", "upload agent"};
    struct run *run = NULL;

    choose_snapshots();
    TRY(test_run(test, &run, err));
    for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
        TRY(kill_in_phase(run, "vm", phases[i], err));
    return 0;
}

/** Links in one directory to everything in another but for one entry. */
struct mirror {
    const char *from;
    const char *to;
    const char *except;
};

static int link_entry(void *context, const char *name, struct error *err)
{
    const struct mirror *mirror = context;
    cleanup_free char *from = text_format("%s/%s", mirror->from, name);
    cleanup_free char *to = text_format("%s/%s", mirror->to, name);

    if (text_equal(name, mirror->except) || text_equal(name, "tmp") || text_starts_with(name, "snapshot-"))
        return 0;
    return symlink(from, to) < 0 ? error_set_errno(err, errno, "linking", to) : 0;
}

/** A cache with all that is in the real one, but no snapshot. Caller frees *ret. */
static int make_cache(const char *directory, const char *architecture, char **ret, struct error *err)
{
    cleanup_free char *cache = text_format("%s/cache", directory);
    cleanup_free char *real_vm = text_format("%s/vm", cache_directory());
    cleanup_free char *vm = text_format("%s/vm", cache);
    cleanup_free char *real_images = text_format("%s/%s", real_vm, architecture);
    cleanup_free char *images = text_format("%s/%s", vm, architecture);
    struct mirror mirrors[] = {
        {cache_directory(), cache, "vm"}, {real_vm, vm, architecture}, {real_images, images, ""}};

    if (directory_create(images, 0755, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(mirrors); i++) {
        if (directory_each(mirrors[i].from, link_entry, &mirrors[i], err) < 0)
            return -1;
    }
    *ret = TAKE_PTR(cache);
    return 0;
}

static int refuse_entry(void *context, const char *name, struct error *err)
{
    if (text_starts_with(name, ".") || text_equal(name, "golden") || text_starts_with(name, "golden-") ||
        text_starts_with(name, "stock"))
        return 0;
    return error_set(err, &check_error_domain, 1, "looking for leftovers in", context, "there is %s", name);
}

/* Half a snapshot in the cache would cost its space for ever, or be taken for a whole one. */
FLEET_TEST(vm_killed, snapshot_in_the_making_leaves_nothing, .gate = "vm", VM_NEEDS)
{
    cleanup_victim_report struct victim_report report = {0};
    cleanup_free char *cache = NULL;
    struct vm_environment environment;
    struct run *run = NULL;

    choose_snapshots();
    TRY(test_run(test, &run, err));
    TRY(vm_environment_read(&environment, err));
    TRY(make_cache(run_directory(run), environment.architecture, &cache, err));
    setenv("FLEET_CACHE", cache, 1); /* the victim's */
    struct victim_moment moment = {.stack = "vm", .phase = SNAPSHOT_PHASE, .delay_ms = SNAPSHOT_MS};
    TRY(kill_victim(run, moment, &report, err));
    CHECK(text_equal(report.phase, SNAPSHOT_PHASE), "it was killed in phase %s", report.phase);
    cleanup_free char *temporary = text_format("%s/tmp", cache);
    cleanup_free char *images = text_format("%s/vm/%s", cache, environment.architecture);
    CHECK(file_exists(temporary), "nothing was made in %s: the test looks in the wrong place", temporary);
    TRY(directory_each(temporary, refuse_entry, temporary, err));
    TRY(directory_each(images, refuse_entry, images, err));
    return 0;
}
