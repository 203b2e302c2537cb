/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/capability_podman.h"
#include "harness/place.h"
#include "harness/resource.h"
#include "harness/run.h"

#define PROBE_MS          30000
#define LIMIT             4096
#define PROBE_CGROUP      (PROBE_CGROUP_PATH + 1) /* as control groups are removed: without the slash */
#define PROBE_CGROUP_PATH "/fleet-e2e-probe"
#define VERSION_MAJOR     4
#define REMEDY            "run scripts/setup (it installs podman and runc)"

const char *const podman_runtimes[PODMAN_RUNTIMES] = {"crun", "runc"};

/* The container */

static int write_configuration(const struct podman_answer *answer, const char *directory, const char *runtime,
                               struct error *err)
{
    cleanup_free char *containers_path = text_format("%s/containers.conf", directory);
    cleanup_free char *storage_path = text_format("%s/storage.conf", directory);
    cleanup_free char *rootfs = text_format("%s/rootfs", directory);
    struct text_buffer limits = {0};

    if (answer->needs_ulimits)
        text_buffer_format(&limits, "[containers]\ndefault_ulimits=[\"nofile=%ld:%ld\",\"nproc=%ld:%ld\"]\n",
                           answer->nofile, answer->nofile, answer->nproc, answer->nproc);
    cleanup_free char *limits_text = text_buffer_take(&limits);
    cleanup_free char *containers =
        text_format("[engine]\nruntime=\"%s\"\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"none\"\n"
                    "tmp_dir=\"/run/libpod\"\n[network]\nnetwork_backend=\"netavark\"\n%s",
                    runtime, limits_text);
    cleanup_free char *storage = text_format("[storage]\ndriver=\"overlay\"\nrunroot=\"/run/containers/storage\"\n"
                                             "graphroot=\"%s/root\"\n",
                                             directory);
    if (directory_create(rootfs, 0755, err) < 0 ||
        file_write_atomic(containers_path, containers, strlen(containers), 0644, err) < 0 ||
        file_write_atomic(storage_path, storage, strlen(storage), 0644, err) < 0)
        return error_wrap(err, "preparing the probe of", runtime);
    return 0;
}

/* No image is needed: the root is an empty directory into which this system's programs are bound. */
static void container_arguments(const struct podman_answer *answer, const char *directory, struct text_list *argv)
{
    static const char *const head[] = {
        "run", "--rm", "--cgroup-parent", PROBE_CGROUP_PATH, "--publish", "127.0.0.1:8080:80"};
    static const char *const bound[] = {"/bin", "/lib", "/lib64", "/usr"};

    text_list_add(argv, answer->program);
    for (size_t i = 0; i < ARRAY_SIZE(head); i++)
        text_list_add(argv, head[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bound); i++) {
        if (!file_exists(bound[i]))
            continue;
        text_list_add(argv, "--volume");
        text_list_format(argv, "%s:%s:ro", bound[i], bound[i]);
    }
    text_list_add(argv, "--rootfs");
    text_list_format(argv, "%s/rootfs", directory);
    text_list_add(argv, "/bin/true");
}

static void container_environment(const char *directory, struct text_list *environment)
{
    const char *path = getenv("PATH");

    text_list_format(environment, "PATH=%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    text_list_add(environment, "HOME=/root");
    text_list_format(environment, "CONTAINERS_CONF=%s/containers.conf", directory);
    text_list_format(environment, "CONTAINERS_STORAGE_CONF=%s/storage.conf", directory);
}

/* The line that says why: podman prints "Error: …" last. */
static char *last_line(const char *output)
{
    cleanup_free char *text = text_copy(output);
    size_t size = strlen(text);

    while (size && text[size - 1] == '\n')
        text[--size] = '\0';
    const char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    if (text_starts_with(line, "Error: "))
        line += strlen("Error: ");
    return text_copy(*line ? line : "it said nothing");
}

static bool runtime_starts_a_container(const struct podman_answer *answer, const char *directory, const char *name,
                                       const char *path, struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    cleanup_text_list struct text_list environment = {0};
    cleanup_free char *output = NULL;
    int exit_code = -1;

    if (write_configuration(answer, directory, path, err) < 0)
        return false;
    container_arguments(answer, directory, &argv);
    container_environment(directory, &environment);
    const struct sandbox_command command = {(const char *const *)argv.items, (const char *const *)environment.items};
    if (sandbox_run(&command, deadline_in_ms(PROBE_MS), &exit_code, &output, err) < 0)
        return false;
    if (exit_code == 0)
        return true;
    cleanup_free char *why = last_line(output);
    error_set(err, &general_error_domain, GENERAL_FAILED, "starting a container with", name, "%s", why);
    return false;
}

/* What a probe, also one that was killed, leaves: its directory, and empty control groups. */
static void clean_probe(const char *directory)
{
    cleanup_error struct error left = ERROR_INIT;
    cleanup_error struct error busy = ERROR_INIT;

    if (directory_remove(directory, &left) < 0 ||
        control_groups_remove("/sys/fs/cgroup", PROBE_CGROUP, deadline_in_ms(2000), &busy) < 0)
        return; /* the next probe meets it again */
}

/* Deciding */

static void set_gap(struct podman_answer *answer, char *gap, const char *remedy)
{
    answer->gap = gap;
    answer->remedy = text_copy(remedy);
}

static void choose_limits(struct podman_answer *answer)
{
    struct rlimit limit = {0};

    answer->needs_ulimits = !hard_limits_can_be_raised();
    answer->nofile = answer->nproc = LIMIT;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < LIMIT)
        answer->nofile = (long)limit.rlim_max;
    if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_max < LIMIT)
        answer->nproc = (long)limit.rlim_max;
}

static bool try_runtime(struct podman_answer *answer, const char *directory, const char *name)
{
    cleanup_free char *path = capability_find_program(name);
    cleanup_error struct error err = ERROR_INIT;

    if (!path)
        return false;
    bool works = runtime_starts_a_container(answer, directory, name, path, &err);
    clean_probe(directory);
    if (works) {
        answer->runtime = text_copy(name);
        answer->runtime_path = TAKE_PTR(path);
    } else {
        cleanup_free char *text = error_text(&err);
        text_list_add(&answer->refusals, text);
    }
    return works;
}

static void choose_runtime(struct podman_answer *answer)
{
    cleanup_free char *directory = text_format("%s/podman-probe", cache_directory());

    clean_probe(directory);
    for (size_t i = 0; i < PODMAN_RUNTIMES && !answer->runtime; i++) {
        if (try_runtime(answer, directory, podman_runtimes[i]))
            return;
    }
    if (answer->refusals.count)
        set_gap(answer, text_list_join(&answer->refusals, "; "), "see what the runtime says; " REMEDY);
    else
        set_gap(answer, text_copy("neither crun nor runc is installed"), REMEDY);
}

/* Containers are kept where runs are. */
static bool overlay_works(struct error *err)
{
    return runs_directory_ensure(err) == 0 && overlay_try(runs_directory(), err) == 0;
}

void podman_decide(struct podman_answer *answer)
{
    cleanup_error struct error no_overlay = ERROR_INIT;

    answer->program = capability_find_program("podman");
    if (!answer->program)
        return set_gap(answer, text_copy("podman is not in PATH"), REMEDY);
    if (geteuid() != 0)
        return set_gap(answer, text_copy("a podman of our own needs root"), "run as root, for example by sudo -E");
    answer->version = capability_ask_version(answer->program, "version ");
    if (!answer->version)
        return set_gap(answer, text_format("%s does not tell its version", answer->program), REMEDY);
    if (!capability_version_at_least(answer->version, VERSION_MAJOR, 0))
        return set_gap(answer, text_format("podman %s is older than 4", answer->version), "install podman 4 or later");
    if (!overlay_works(&no_overlay))
        return set_gap(answer, error_text(&no_overlay),
                       "set FLEET_E2E_RUNS to a directory on ext4, xfs or tmpfs, where overlays can be mounted");
    choose_limits(answer);
    choose_runtime(answer);
}
