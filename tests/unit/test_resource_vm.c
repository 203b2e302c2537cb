/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/resource_vm.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "harness/place.h"
#include "harness/test.h"
#include "tests/unit/support_run.h"

/* For a daemon that does not belong to the private run. Caller frees. */
static char *socket_directory(const struct test_context *test)
{
    return text_format("%s/hypervisor", run_directory(test->run));
}

static char *uri_of(const char *directory)
{
    return text_format("qemu+unix:///system?socket=%s/libvirt-sock", directory);
}

/* A daemon that hangs: it lets everybody connect and never answers. The caller closes *ret. */
static int listen_in(const char *directory, int *ret, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    cleanup_free char *path = text_format("%s/libvirt-sock", directory);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    TRY(directory_create(directory, 0700, err));
    CHECK(strlen(path) < sizeof(address.sun_path), "%s is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    CHECK(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 5) == 0, "%s: %m", path);
    *ret = TAKE_FD(fd);
    return 0;
}

/* Domains and virtual networks */

FLEET_TEST(resource_vm, refuses_domains_of_others)
{
    static const char *const refused[] = {
        "",
        "fleet-e2e-vm-1a2b3c4d-0",
        " fleet-e2e-vm-1a2b3c4d-0",
        "qemu:///system debian",
        "qemu:///system fleet-e2e-1a2b3c4d",
        "qemu:///system fleet-e2e-vm-",
        "qemu:///system fleet-e2e-vm-a;reboot",
        "qemu:///system fleet-e2e-vm-a ",
        "qemu:///system debian fleet-e2e-vm-a",
        "qemu:///system\nx fleet-e2e-vm-a",
    };
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        CHECK_FAILS(run_journal(run, RESOURCE_DOMAIN, refused[i], err), general_error_domain, GENERAL_INVALID);
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(resource_vm, only_a_hypervisor_of_the_run_has_networks_of_any_name)
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *own = uri_of(run_directory(run));
    cleanup_free char *own_default = text_format("%s default", own);
    cleanup_free char *outside =
        text_format("qemu+unix:///system?socket=%s/../../libvirt-sock default", run_directory(run));
    TRY(run_journal(run, RESOURCE_LIBVIRT_NETWORK, own_default, err));
    TRY(run_undo(run, RESOURCE_LIBVIRT_NETWORK, own_default, err)); /* nobody listens there */
    CHECK_FAILS(run_journal(run, RESOURCE_LIBVIRT_NETWORK, outside, err), general_error_domain, GENERAL_INVALID);
    CHECK_FAILS(run_journal(run, RESOURCE_LIBVIRT_NETWORK, "qemu:///system default", err), general_error_domain,
                GENERAL_INVALID);
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(resource_vm, socket_is_found_in_a_connection_uri)
{
    static const struct {
        const char *uri, *socket;
    } cases[] = {
        {"qemu+unix:///system?socket=/a/b", "/a/b"},     {"qemu+unix:///system?mode=direct&socket=/a%20b&x=y", "/a b"},
        {"qemu+unix:///system?socket=/100%#x", "/100%"}, {"qemu+unix:///system?socket=/a%2", "/a%2"},
        {"qemu+unix:///system?no_socket=/a", NULL},      {"qemu:///system", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_free char *found = libvirt_uri_socket(cases[i].uri);
        CHECK(text_equal(found, cases[i].socket), "%s: %s", cases[i].uri, found);
    }
    return 0;
}

/* By the real program; the hypervisor is libvirt's test driver, which has no such domain. */
FLEET_TEST(resource_vm, domain_that_is_not_there_is_undone)
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    TRY(run_journal(run, RESOURCE_DOMAIN, "test:///default fleet-e2e-vm-0", err));
    TRY(run_undo(run, RESOURCE_DOMAIN, "test:///default fleet-e2e-vm-0", err));
    TRY(run_undo(run, RESOURCE_LIBVIRT_NETWORK, "test:///default fleet-e2e-net", err));
    return run_finish(TAKE_PTR(run), err);
}

FLEET_TEST(resource_vm, hypervisor_that_cannot_be_reached_is_said_in_its_words)
{
    CHECK_FAILS(libvirt_object_remove("domain", "nonsense:///x fleet-e2e-vm-0", deadline_in_ms(50), err),
                system_error_domain, EBUSY);
    return 0;
}

FLEET_TEST(resource_vm, domain_is_gone_with_its_hypervisor)
{
    struct run *outer = NULL;
    int listener = -1;

    TRY(test_run(test, &outer, err));
    cleanup_free char *directory = socket_directory(test);
    cleanup_free char *uri = uri_of(directory);
    cleanup_free char *name = text_format("%s fleet-e2e-vm-0", uri);
    TRY(libvirt_object_remove("domain", name, deadline_in_ms(0), err)); /* no socket */
    TRY(listen_in(directory, &listener, err));
    close_fd(listener);
    return libvirt_object_remove("domain", name, deadline_in_ms(0), err); /* a socket that refuses */
}

/* The deadline holds against a daemon that hangs; once its process was ended, its domains are undone as well. */
FLEET_TEST(resource_vm, hypervisor_that_hangs_holds_nobody_up)
{
    static const char *const sleeper[] = {"sleep", "600", NULL};
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(process_free) struct process *daemon = NULL;
    cleanup_close int listener = -1;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *directory = socket_directory(test);
    cleanup_free char *uri = uri_of(directory);
    cleanup_free char *name = text_format("%s fleet-e2e-vm-0", uri);
    cleanup_free char *mark = run_mark(run, "libvirtd");
    TRY(listen_in(directory, &listener, err));
    int64_t begin = clock_monotonic_ms();
    CHECK_FAILS(libvirt_object_remove("domain", name, deadline_in_ms(300), err), system_error_domain, EBUSY);
    CHECK(clock_monotonic_ms() - begin < 5000, "it took %d ms", (int)(clock_monotonic_ms() - begin));
    TRY(run_journal(run, RESOURCE_PROCESS, "libvirtd", err));
    TRY(run_journal(run, RESOURCE_DOMAIN, name, err));
    TRY(process_start(
        &(struct process_options){.argv = sleeper, .environment = (const char *[]){mark, NULL}, .keep_fd = listener},
        &daemon, err));
    close_fd(TAKE_FD(listener)); /* only the process has it now */
    TRY(run_finish(TAKE_PTR(run), err));
    CHECK(process_ended(daemon, NULL, NULL), "the daemon runs on");
    return 0;
}

/* Files */

FLEET_TEST(resource_vm, volumes_and_saved_states_are_removed)
{
    static const enum resource_kind kinds[] = {RESOURCE_VOLUME, RESOURCE_SAVED_STATE};
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *path = text_format("%s/a volume", run_directory(run));
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        TRY(run_journal(run, kinds[i], path, err));
        TRY(file_write_atomic(path, "x", 1, 0600, err));
        TRY(run_undo(run, kinds[i], path, err));
        CHECK(!file_exists(path), "it is still there");
        TRY(run_undo(run, kinds[i], path, err));
        CHECK_FAILS(run_journal(run, kinds[i], "/etc/passwd", err), general_error_domain, GENERAL_INVALID);
    }
    return run_finish(TAKE_PTR(run), err);
}

/* Network namespaces */

static int mount_namespace_on(const void *context)
{
    return unshare(CLONE_NEWNET) < 0 || mount("/proc/self/ns/net", context, NULL, MS_BIND, NULL) < 0 ? errno : 0;
}

/* What `ip netns add` does. */
static int add_namespace(const char *path, struct error *err)
{
    int status = -1;

    TRY(directory_create("/run/netns", 0755, err));
    cleanup_close int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
    CHECK(fd >= 0, "%s: %m", path);
    pid_t child = fork();
    if (child == 0)
        _exit(mount_namespace_on(path));
    CHECK(waitpid(child, &status, 0) == child && status == 0, "%s: status %x", path, (unsigned)status);
    return 0;
}

FLEET_TEST(resource_vm, network_namespaces_are_removed, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    const char *name = run_id(run);
    cleanup_free char *path = text_format("/run/netns/%s", name);
    TRY(run_journal(run, RESOURCE_NETWORK_NAMESPACE, name, err));
    TRY(add_namespace(path, err));
    TRY(add_namespace(path, err)); /* one over the other */
    TRY(run_undo(run, RESOURCE_NETWORK_NAMESPACE, name, err));
    CHECK(!file_exists(path), "%s is still there", path);
    TRY(run_undo(run, RESOURCE_NETWORK_NAMESPACE, name, err));
    TRY(run_journal(run, RESOURCE_NETWORK_NAMESPACE, name, err)); /* its reaper takes it too, */
    TRY(file_write_atomic(path, "", 0, 0444, err));               /* even if nothing was mounted yet */
    TRY(run_finish(TAKE_PTR(run), err));
    CHECK(!file_exists(path), "%s is still there", path);
    return 0;
}

FLEET_TEST(resource_vm, refuses_network_namespaces_of_others)
{
    static const char *const refused[] = {"", "blue", "fleet-e2e-", "fleet-e2e-x/../../../etc/passwd", "fleet-e2e-a b"};
    CLEANUP(run_release) struct run *run = NULL;

    TRY(support_private_run(test, &run, err));
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        CHECK_FAILS(run_journal(run, RESOURCE_NETWORK_NAMESPACE, refused[i], err), general_error_domain,
                    GENERAL_INVALID);
    return run_finish(TAKE_PTR(run), err);
}

/* Registries */

FLEET_TEST(resource_vm, registries_are_processes)
{
    static const char *const sleeper[] = {"sleep", "600", NULL};
    CLEANUP(run_release) struct run *run = NULL;
    CLEANUP(process_free) struct process *registry = NULL;

    TRY(support_private_run(test, &run, err));
    cleanup_free char *mark = run_mark(run, "registry");
    TRY(run_journal(run, RESOURCE_REGISTRY, "registry", err));
    TRY(process_start(&(struct process_options){.argv = sleeper, .environment = (const char *[]){mark, NULL}},
                      &registry, err));
    TRY(run_undo(run, RESOURCE_REGISTRY, "registry", err));
    CHECK(process_ended(registry, NULL, NULL), "it runs on");
    return run_finish(TAKE_PTR(run), err);
}

/* What a person gets to paste */

static int check_described(enum resource_kind kind, const char *name, const char *inspect, const char *remove,
                           struct error *err)
{
    const struct run_place place = {"fleet-e2e-1a2b3c4d", "/tmp/fleet-e2e-0/fleet-e2e-1a2b3c4d", -1};
    cleanup_text_buffer struct text_buffer inspect_text = {0};
    cleanup_text_buffer struct text_buffer remove_text = {0};

    resource_type(kind)->describe(&place, name, &inspect_text, &remove_text);
    CHECK(text_equal(text_buffer_text(&inspect_text), inspect), "inspect: %s", text_buffer_text(&inspect_text));
    CHECK(text_equal(text_buffer_text(&remove_text), remove), "remove: %s", text_buffer_text(&remove_text));
    return 0;
}

FLEET_TEST(resource_vm, commands_for_people_are_quoted)
{
    TRY(check_described(RESOURCE_DOMAIN, "qemu+unix:///system?socket=/r/s fleet-e2e-vm-0",
                        "virsh -c 'qemu+unix:///system?socket=/r/s' dominfo fleet-e2e-vm-0",
                        "virsh -c 'qemu+unix:///system?socket=/r/s' destroy fleet-e2e-vm-0; "
                        "virsh -c 'qemu+unix:///system?socket=/r/s' undefine fleet-e2e-vm-0 --managed-save "
                        "--snapshots-metadata --checkpoints-metadata --nvram",
                        err));
    TRY(check_described(RESOURCE_LIBVIRT_NETWORK, "qemu:///system fleet-e2e-n",
                        "virsh -c qemu:///system net-info fleet-e2e-n; "
                        "virsh -c qemu:///system net-dhcp-leases fleet-e2e-n",
                        "virsh -c qemu:///system net-destroy fleet-e2e-n; "
                        "virsh -c qemu:///system net-undefine fleet-e2e-n",
                        err));
    TRY(check_described(RESOURCE_VOLUME, "/run of/disk", "ls -ls '/run of/disk'", "rm -f '/run of/disk'", err));
    return check_described(RESOURCE_NETWORK_NAMESPACE, "fleet-e2e-n",
                           "ip netns pids fleet-e2e-n | xargs -r ps -o pid,args; "
                           "nsenter --net=/run/netns/fleet-e2e-n ip address",
                           "ip netns delete fleet-e2e-n", err);
}
