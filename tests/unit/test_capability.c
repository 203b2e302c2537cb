/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/capability.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "harness/capability_probe.h"
#include "harness/test.h"

/*
 * Every test runs in a process of its own, so each may choose its cache and its PATH before anything asked for them.
 */

/* A cache of the test's own. */
static int use_fresh_cache(const struct test_context *test, struct error *err)
{
    cleanup_free char *cache = text_format("%s/cache", test->artefacts);

    setenv("FLEET_CACHE", cache, 1);
    unsetenv("FLEET_NATS_SERVER");
    return directory_create(cache, 0700, err);
}

/* A program in <artefacts>/bin, which becomes the head of PATH. */
static int add_program(const struct test_context *test, const char *name, const char *script, struct error *err)
{
    cleanup_free char *directory = text_format("%s/bin", test->artefacts);
    cleanup_free char *path = text_format("%s/%s", directory, name);
    cleanup_free char *search = text_format("%s:/usr/bin:/bin", directory);

    setenv("PATH", search, 1);
    setenv("ARTEFACTS", test->artefacts, 1);
    if (directory_create(directory, 0755, err) < 0)
        return -1;
    return file_write_atomic(path, script, strlen(script), 0755, err);
}

/* How often the programs of this test were asked for their version (each appends a line). */
static size_t times_asked(const struct test_context *test)
{
    cleanup_free char *path = text_format("%s/asked", test->artefacts);
    cleanup_free char *data = NULL;
    cleanup_error struct error none = ERROR_INIT;
    size_t size = 0;
    size_t lines = 0;

    if (file_read(path, 4096, &data, &size, &none) < 0)
        return 0;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    return lines;
}

#define NATS_SCRIPT(version) "#!/bin/sh\necho asked >>\"$ARTEFACTS/asked\"\necho 'nats-server: v" version "'\n"

FLEET_TEST(capability, cache_is_where_it_was_put)
{
    setenv("FLEET_CACHE", "/somewhere/else", 1);
    CHECK(text_equal(cache_directory(), "/somewhere/else"), "%s", cache_directory());
    return 0;
}

FLEET_TEST(capability, cache_follows_xdg)
{
    setenv("FLEET_CACHE", "", 1);
    setenv("XDG_CACHE_HOME", "/var/cache/me", 1);
    CHECK(text_equal(cache_directory(), "/var/cache/me/harmony-fleet"), "%s", cache_directory());
    return 0;
}

FLEET_TEST(capability, every_one_has_a_name)
{
    for (int i = 0; i < CAPABILITY_COUNT; i++)
        CHECK(!text_equal(capability_name(i), "unknown"), "capability %d has no name", i);
    return 0;
}

FLEET_TEST(capability, nats_server_in_the_cache_comes_before_path)
{
    cleanup_free char *found = NULL;

    TRY(use_fresh_cache(test, err));
    TRY(add_program(test, "nats-server", NATS_SCRIPT("2.11.0"), err));
    cleanup_free char *directory = text_format("%s/nats-server/usr/sbin", cache_directory());
    cleanup_free char *cached = text_format("%s/nats-server", directory);
    TRY(directory_create(directory, 0755, err));
    TRY(file_write_atomic(cached, NATS_SCRIPT("2.10.27"), strlen(NATS_SCRIPT("2.10.27")), 0755, err));
    TRY(nats_server_find(&found, err));
    CHECK(text_equal(found, cached), "found %s", found);
    return 0;
}

FLEET_TEST(capability, nats_server_of_path_must_be_new_enough)
{
    cleanup_free char *found = NULL;

    TRY(use_fresh_cache(test, err));
    TRY(add_program(test, "nats-server", NATS_SCRIPT("2.9.10"), err));
    CHECK(nats_server_find(&found, err) < 0, "took %s", found);
    CHECK(error_is(err, &general_error_domain, GENERAL_UNSUPPORTED), "another error");
    CHECK(strstr(err->detail, "is 2.9.10, older than 2.10"), "%s", err->detail);
    CHECK(strstr(err->detail, "scripts/setup"), "no remedy: %s", err->detail);
    error_clear(err);
    return 0;
}

FLEET_TEST(capability, chosen_nats_server_is_used_or_refused)
{
    cleanup_free char *found = NULL;

    TRY(use_fresh_cache(test, err));
    TRY(add_program(test, "nats-server", NATS_SCRIPT("2.11.0"), err));
    setenv("FLEET_NATS_SERVER", "/nowhere/nats-server", 1);
    CHECK_FAILS(nats_server_find(&found, err), general_error_domain, GENERAL_UNSUPPORTED);
    cleanup_free char *chosen = text_format("%s/bin/nats-server", test->artefacts);
    setenv("FLEET_NATS_SERVER", chosen, 1);
    TRY(nats_server_find(&found, err));
    CHECK(text_equal(found, chosen), "found %s", found);
    return 0;
}

FLEET_TEST(capability, version_is_asked_once_until_the_program_changes)
{
    cleanup_free char *first = NULL;
    cleanup_free char *second = NULL;
    cleanup_free char *third = NULL;

    TRY(use_fresh_cache(test, err));
    TRY(add_program(test, "nats-server", NATS_SCRIPT("2.10.27"), err));
    TRY(nats_server_find(&first, err));
    TRY(nats_server_find(&second, err));
    CHECK(times_asked(test) == 1, "asked %zu times", times_asked(test));
    TRY(add_program(test, "nats-server", NATS_SCRIPT("2.11.1"), err));
    TRY(nats_server_find(&third, err));
    CHECK(times_asked(test) == 2, "asked %zu times", times_asked(test));
    return 0;
}

FLEET_TEST(capability, versions_compare_as_numbers)
{
    CHECK(capability_version_at_least("2.10.27", 2, 10), "2.10.27 is not 2.10");
    CHECK(capability_version_at_least("10.0", 2, 10), "10.0 is not 2.10");
    CHECK(capability_version_at_least("3", 2, 10), "3 is not 2.10");
    CHECK(!capability_version_at_least("2.9.10", 2, 10), "2.9.10 is 2.10");
    CHECK(!capability_version_at_least("", 0, 0), "nothing is a version");
    return 0;
}

FLEET_TEST(capability, images_that_are_not_built_name_the_remedy)
{
    struct capability_report report = {0};

    TRY(use_fresh_cache(test, err));
    capability_probe(CAPABILITY_TEST_IMAGES, &report);
    bool right = !report.available && text_equal(report.remedy, "run scripts/setup");
    capability_report_clear(&report);
    CHECK(right, "no gap with its remedy");
    return 0;
}

FLEET_TEST(capability, image_store_must_have_every_image)
{
    static const char some[] = "[{\"names\":[\"localhost/hello-web:v1\"]}]";
    static const char all[] = "[{\"names\":[\"localhost/hello-web:v1\"]},{\"names\":[\"localhost/hello-web:v2\","
                              "\"localhost/toolbox:v1\"]}]";
    cleanup_free char *store = NULL;

    TRY(use_fresh_cache(test, err));
    cleanup_free char *directory = text_format("%s/images/overlay-images", cache_directory());
    cleanup_free char *path = text_format("%s/images.json", directory);
    TRY(directory_create(directory, 0755, err));
    TRY(file_write_atomic(path, some, strlen(some), 0644, err));
    CHECK_FAILS(test_image_store_find(&store, err), general_error_domain, GENERAL_UNSUPPORTED);
    TRY(file_write_atomic(path, all, strlen(all), 0644, err));
    TRY(test_image_store_find(&store, err));
    CHECK(text_ends_with(store, "/images"), "%s", store);
    return 0;
}

/* Both programs, or none: a tree with sshd alone is not laid over a machine. */
FLEET_TEST(capability, sshd_comes_with_sudo)
{
    cleanup_free char *found = NULL;
    cleanup_free char *half = NULL;
    cleanup_error struct error missing = ERROR_INIT;

    TRY(use_fresh_cache(test, err));
    cleanup_free char *tree = text_format("%s/sshd", cache_directory());
    static const char *const programs[] = {"usr/sbin/sshd", "usr/bin/sudo"};
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        cleanup_free char *path = text_format("%s/%s", tree, programs[i]);
        cleanup_free char *directory = text_copy_n(path, (size_t)(strrchr(path, '/') - path));
        bool half_found = i > 0 && sshd_tree_find(&half, &missing) == 0;

        error_clear(&missing);
        CHECK(!half_found || text_equal(half, "/"), "half of it was found in %s", half);
        TRY(directory_create(directory, 0755, err));
        TRY(file_write_atomic(path, "#!/bin/sh\n", 10, 0755, err));
    }
    TRY(sshd_tree_find(&found, err));
    CHECK(text_equal(found, tree), "found in %s", found);
    return 0;
}

/* virtual machines */

static int add_file(const char *directory, const char *name, mode_t mode, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", directory, name);

    if (directory_create(directory, 0755, err) < 0)
        return -1;
    return file_write_atomic(path, "", 0, mode, err);
}

FLEET_TEST(capability, guest_image_is_whole_and_stays_the_same)
{
    static const char *const parts[] = {"disk.img", "kernel", "initrd"};
    cleanup_vm_image struct vm_image image = {0};

    TRY(use_fresh_cache(test, err));
    cleanup_free char *built = text_format("%s/vm/aarch64/golden-1", cache_directory());
    cleanup_free char *link = text_format("%s/vm/aarch64/golden", cache_directory());
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        CHECK(vm_image_find("aarch64", "golden", &image, err) < 0, "found without its %s", parts[i]);
        CHECK(error_is(err, &general_error_domain, GENERAL_UNSUPPORTED) &&
                  strstr(err->detail, "run images/vm/build aarch64 golden"),
              "%s", err->detail);
        error_clear(err);
        TRY(add_file(built, parts[i], 0644, err));
        CHECK(i > 0 || symlink("golden-1", link) == 0, "symlink: %m");
    }
    TRY(vm_image_find("aarch64", "golden", &image, err));
    CHECK(text_ends_with(image.kernel, "/golden-1/kernel"), "not where the link points to: %s", image.kernel);
    CHECK_FAILS(vm_image_find("x86_64", "golden", &image, err), general_error_domain, GENERAL_UNSUPPORTED);
    return 0;
}

FLEET_TEST(capability, agent_and_images_of_guests_are_found_in_the_cache)
{
    cleanup_free char *agent = NULL;
    cleanup_free char *storage = NULL;

    TRY(use_fresh_cache(test, err));
    cleanup_free char *agents = text_format("%s/agents/x86_64", cache_directory());
    cleanup_free char *pushed = text_format("%s/registry/docker/registry/v2/repositories", cache_directory());
    CHECK_FAILS(vm_agent_find("x86_64", &agent, err), general_error_domain, GENERAL_UNSUPPORTED);
    CHECK_FAILS(vm_workloads_find(&storage, err), general_error_domain, GENERAL_UNSUPPORTED);
    TRY(add_file(agents, "harmony-fleet-agent", 0755, err));
    TRY(directory_create(pushed, 0755, err));
    TRY(vm_agent_find("x86_64", &agent, err));
    TRY(vm_workloads_find(&storage, err));
    CHECK(text_ends_with(agent, "/agents/x86_64/harmony-fleet-agent"), "%s", agent);
    CHECK(text_ends_with(storage, "/registry"), "%s", storage);
    return 0;
}

/* The image that is asked for is the one that the guests are made from. */
FLEET_TEST(capability, guests_follow_their_variables)
{
    static const struct {
        const char *architecture, *base, *remedy;
    } cases[] = {{"aarch64", "image", "run images/vm/build aarch64 golden"},
                 {"x86_64", "stock", "run images/vm/build x86_64 stock"},
                 {"mips", "stock", "set FLEET_E2E_VM_ARCH to one of them, or unset it"}};

    TRY(use_fresh_cache(test, err));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct capability_report report = {0};
        setenv("FLEET_E2E_VM_ARCH", cases[i].architecture, 1);
        setenv("FLEET_E2E_VM_BASE", cases[i].base, 1);
        probe_vm_image(&report); /* capability_probe remembers its first answer */
        cleanup_free char *remedy = text_copy(report.remedy);
        capability_report_clear(&report);
        CHECK(text_equal(remedy, cases[i].remedy), "remedy: %s", remedy);
    }
    return 0;
}

FLEET_TEST(capability, programs_of_guests_are_found_or_named)
{
    cleanup_libvirt_programs struct libvirt_programs libvirt = {0};
    cleanup_qemu_programs struct qemu_programs qemu = {0};
    cleanup_free char *ssh = NULL;

    TRY(use_fresh_cache(test, err));
    TRY(add_program(test, "qemu-system-aarch64", "#!/bin/sh\n", err));
    TRY(add_program(test, "qemu-img", "#!/bin/sh\n", err));
    TRY(qemu_find("aarch64", &qemu, err));
    CHECK(text_ends_with(qemu.system, "/bin/qemu-system-aarch64"), "%s", qemu.system);
    CHECK_FAILS(qemu_find("vax", &qemu, err), general_error_domain, GENERAL_UNSUPPORTED);
    setenv("PATH", "/nowhere", 1);
    CHECK_FAILS(ssh_program_find(&ssh, err), general_error_domain, GENERAL_UNSUPPORTED);
    if (access("/usr/sbin/libvirtd", X_OK) < 0)
        CHECK_FAILS(libvirt_find(&libvirt, err), general_error_domain, GENERAL_UNSUPPORTED);
    return 0;
}

FLEET_TEST(capability, remembered_answers_hold_as_long_as_their_key)
{
    TRY(use_fresh_cache(test, err));
    CHECK(!capability_recall("answer", "key"), "an answer out of nowhere");
    capability_remember("answer", "key", cJSON_CreateString("42"));
    CLEANUP(cJSON_Delete) cJSON *known = capability_recall("answer", "key");
    CHECK(text_equal(cJSON_GetStringValue(known), "42"), "not remembered");
    CHECK(!capability_recall("answer", "another key"), "remembered under another key");
    return 0;
}

/* podman */

FLEET_TEST(capability, without_podman_there_is_a_gap)
{
    struct podman_needs needs;

    TRY(use_fresh_cache(test, err));
    setenv("PATH", "/nowhere", 1);
    CHECK(podman_needs_find(&needs, err) < 0, "found %s", needs.program);
    CHECK(error_is(err, &general_error_domain, GENERAL_UNSUPPORTED), "another error");
    CHECK(strstr(err->detail, "podman is not in PATH"), "%s", err->detail);
    error_clear(err);
    return 0;
}

/* A podman that starts containers with every runtime but crun. */
static const char picky_podman[] = "#!/bin/sh\n"
                                   "echo asked >>\"$(dirname \"$0\")/../asked\"\n"
                                   "[ \"$1\" = --version ] && echo podman version 4.9.9 && exit 0\n"
                                   "grep -q 'runtime=\".*/crun\"' \"$CONTAINERS_CONF\" || exit 0\n"
                                   "echo 'Error: OCI runtime error: cgroups in hybrid mode not supported' >&2\n"
                                   "exit 126\n";

static int add_picky_podman(const struct test_context *test, struct error *err)
{
    if (use_fresh_cache(test, err) < 0 || add_program(test, "podman", picky_podman, err) < 0 ||
        add_program(test, "crun", "#!/bin/sh\n", err) < 0)
        return -1;
    return add_program(test, "runc", "#!/bin/sh\n", err);
}

FLEET_TEST(capability, runtime_is_the_first_that_starts_a_container, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_text_list struct text_list refusals = {0};
    struct podman_needs needs;

    TRY(add_picky_podman(test, err));
    TRY(podman_needs_find(&needs, err));
    CHECK(text_equal(needs.runtime, "runc"), "runtime %s", needs.runtime);
    CHECK(text_ends_with(needs.runtime_path, "/bin/runc"), "runtime at %s", needs.runtime_path);
    podman_refusals(&refusals);
    CHECK(refusals.count == 1, "%zu refusals", refusals.count);
    CHECK(strstr(refusals.items[0], "crun: OCI runtime error: cgroups in hybrid mode"), "%s", refusals.items[0]);
    return 0;
}

FLEET_TEST(capability, podman_is_probed_once_for_all_processes, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    TRY(add_picky_podman(test, err));
    for (int i = 0; i < 2; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            struct podman_needs needs;
            _exit(podman_needs_find(&needs, err) < 0 || !text_equal(needs.runtime, "runc"));
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0, "process %d: status %x", i, (unsigned int)status);
    }
    CHECK(times_asked(test) == 3, "podman ran %zu times instead of for its version and two runtimes",
          times_asked(test));
    return 0;
}

/* An answer is about one file system; another process is asked, since each asks once. */
FLEET_TEST(capability, podman_is_probed_again_for_runs_elsewhere, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    static const char *const places[] = {"/tmp", "/proc/self"};

    TRY(add_picky_podman(test, err));
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        int status = -1;
        cleanup_free char *runs = text_format("%s/fleet-runs-of-%d", places[i], getpid());
        setenv("FLEET_E2E_RUNS", runs, 1);
        pid_t child = fork();
        if (child == 0) {
            struct podman_needs needs;
            _exit(podman_needs_find(&needs, err) < 0);
        }
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status), "status %x", (unsigned int)status);
        CHECK(i == 0 || WEXITSTATUS(status) == 1, "containers can be kept in %s", runs);
        TRY(directory_remove(runs, err));
    }
    return 0;
}

FLEET_TEST(capability, real_podman_tells_its_needs, .gate = "host", NEEDS(CAPABILITY_PODMAN))
{
    struct podman_needs needs;

    TRY(podman_needs_find(&needs, err));
    CHECK(needs.program[0] == '/' && needs.runtime_path[0] == '/', "relative paths");
    CHECK(needs.nofile > 0 && needs.nproc > 0, "limits %ld, %ld", needs.nofile, needs.nproc);
    CHECK(needs.needs_ulimits == !hard_limits_can_be_raised(), "limits");
    return 0;
}

FLEET_TEST(capability, sandbox_takes_everything_along, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    const char *const argv[] = {"/bin/sh", "-c", "sleep 1000 & echo $$ on $(cat /sys/class/net/lo/operstate); exit 7",
                                NULL};
    const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
    const struct sandbox_command command = {argv, environment};
    cleanup_free char *output = NULL;
    int exit_code = -1;

    TRY(sandbox_run(&command, deadline_in_ms(20000), &exit_code, &output, err));
    CHECK(exit_code == 7, "exit code %d", exit_code);
    CHECK(text_starts_with(output, "1 on "), "%s", output);
    return 0;
}

FLEET_TEST(capability, sandbox_ends_at_its_deadline, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    const char *const environment[] = {NULL};
    const struct sandbox_command command = {argv, environment};
    cleanup_free char *output = NULL;
    int exit_code = -1;

    CHECK_FAILS(sandbox_run(&command, deadline_in_ms(100), &exit_code, &output, err), general_error_domain,
                GENERAL_TIMEOUT);
    return 0;
}

FLEET_TEST(capability, overlay_trial_cleans_up, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    cleanup_free char *directory = text_format("%s/overlays", test->artefacts);
    cleanup_error struct error refused = ERROR_INIT;

    CHECK_FAILS(overlay_try("/proc", err), system_error_domain, ENOENT);
    TRY(directory_create(directory, 0700, err));
    if (overlay_try(directory, &refused) < 0) /* the file system decides; what matters is what stays */
        CHECK(error_is(&refused, &system_error_domain, refused.code), "%s", error_root_detail(&refused));
    CHECK(rmdir(directory) == 0, "something stayed in %s: %m", directory);
    return 0;
}

/* All that a native cluster is made of, in a cache of the test's own; none of it can be run. */
static int add_cluster(const struct test_context *test, struct error *err)
{
    static const char *const files[] = {"kubernetes/kube-apiserver",
                                        "kubernetes/kube-controller-manager",
                                        "kubernetes/kube-scheduler",
                                        "kubernetes/kubelet",
                                        "kubernetes/kube-proxy",
                                        "cluster-tools/usr/bin/etcd",
                                        "cluster-tools/usr/bin/containerd",
                                        "cluster-tools/usr/bin/containerd-shim-runc-v2",
                                        "cluster-tools/usr/bin/ctr",
                                        "cluster-tools/usr/bin/kubectl",
                                        "cluster-tools/usr/lib/cni/ptp",
                                        "cluster-tools/usr/lib/cni/host-local",
                                        "cluster-tools/pause.tar"};

    if (use_fresh_cache(test, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *path = text_format("%s/cache/%s", test->artefacts, files[i]);
        cleanup_free char *directory = text_copy_n(path, (size_t)(strrchr(path, '/') - path));
        if (directory_create(directory, 0700, err) < 0 || file_write_atomic(path, "", 0, 0600, err) < 0)
            return -1;
    }
    setenv("FLEET_E2E_CLUSTER", "native", 1);
    return 0;
}

static int probe_with_iptables(const struct test_context *test, const char *script, struct capability_report *ret,
                               struct error *err)
{
    static const char *const others[] = {"ip", "openssl", "runc"};

    if (add_cluster(test, err) < 0 || add_program(test, "iptables", script, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (add_program(test, others[i], "#!/bin/sh\n", err) < 0)
            return -1;
    }
    capability_probe(CAPABILITY_CLUSTER, ret);
    return 0;
}

FLEET_TEST(capability, cluster_tries_the_firewall, NEEDS(CAPABILITY_ROOT, CAPABILITY_NAMESPACES))
{
    __attribute__((cleanup(capability_report_clear))) struct capability_report report = {0};

    TRY(probe_with_iptables(test, "#!/bin/sh\necho 'Table does not exist; no module' >&2\nexit 3\n", &report, err));
    CHECK(!report.available, "it is there: %s", report.found);
    CHECK(strstr(report.gap, "Table does not exist, no module"), "the gap is: %s", report.gap);
    CHECK(text_starts_with(report.remedy, "load the kernel's modules"), "the remedy is: %s", report.remedy);
    return 0;
}
