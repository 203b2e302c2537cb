/* SPDX-License-Identifier: Apache-2.0 */
#include "harness/capability.h"

#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mount_namespace.h"
#include "base/process.h"
#include "base/text.h"
#include "harness/capability_probe.h"

#define REGISTRY_REMEDY "run scripts/setup"
#define IMAGES_REMEDY   "run scripts/setup"

const char *capability_name(enum capability capability)
{
    switch (capability) {
    case CAPABILITY_ROOT:
        return "root";
    case CAPABILITY_NAMESPACES:
        return "namespaces";
    case CAPABILITY_NATS_SERVER:
        return "nats-server";
    case CAPABILITY_PODMAN:
        return "podman";
    case CAPABILITY_TEST_IMAGES:
        return "test-images";
    case CAPABILITY_REGISTRY:
        return "registry";
    case CAPABILITY_SSHD:
        return "sshd";
    case CAPABILITY_SSH:
        return "ssh";
    case CAPABILITY_LIBVIRT:
        return "libvirt";
    case CAPABILITY_QEMU:
        return "qemu";
    case CAPABILITY_VM_IMAGE:
        return "vm-image";
    case CAPABILITY_VM_AGENT:
        return "vm-agent";
    case CAPABILITY_VM_WORKLOADS:
        return "vm-workloads";
    case CAPABILITY_CLUSTER:
        return "cluster";
    case CAPABILITY_COUNT:
        break;
    }
    return "unknown";
}

void capability_report_clear(struct capability_report *report)
{
    free(report->found);
    free(report->gap);
    free(report->remedy);
    *report = (struct capability_report){0};
}

void capability_set_gap(struct capability_report *report, char *gap, char *remedy)
{
    report->available = false;
    report->gap = gap;
    report->remedy = remedy;
}

void capability_set_found(struct capability_report *report, char *found)
{
    report->available = true;
    report->found = found;
}

bool capability_version_at_least(const char *version, long major, long minor)
{
    char *end = NULL;
    long found_major = strtol(version, &end, 10);

    if (end == version)
        return false;
    long found_minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return found_major > major || (found_major == major && found_minor >= minor);
}

char *capability_find_program(const char *program)
{
    static const char *const administrators[] = {"/usr/local/sbin", "/usr/sbin", "/sbin"};
    cleanup_error struct error not_in_path = ERROR_INIT;
    char *path = NULL;

    if (process_find_program(program, &path, &not_in_path) == 0)
        return path;
    for (size_t i = 0; i < ARRAY_SIZE(administrators); i++) {
        cleanup_free char *candidate = text_format("%s/%s", administrators[i], program);
        if (access(candidate, X_OK) == 0)
            return TAKE_PTR(candidate);
    }
    return NULL;
}

/* The cache directory */

static char cache_path[4096];
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void find_cache_directory(void)
{
    const char *chosen = getenv("FLEET_CACHE");
    const char *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    const struct passwd *user = NULL;
    cleanup_free char *path = NULL;

    if (chosen && *chosen == '/')
        path = text_copy(chosen);
    else if (xdg && *xdg == '/')
        path = text_format("%s/harmony-fleet", xdg);
    else if (home && *home == '/')
        path = text_format("%s/.cache/harmony-fleet", home);
    else if ((user = getpwuid(getuid())))
        path = text_format("%s/.cache/harmony-fleet", user->pw_dir);
    else
        path = text_format("/tmp/harmony-fleet-cache-%u", getuid());
    strncpy(cache_path, path, sizeof(cache_path) - 1);
}

const char *cache_directory(void)
{
    pthread_once(&cache_once, find_cache_directory);
    return cache_path;
}

/* Probes that cost next to nothing */

static void probe_root(struct capability_report *ret)
{
    if (geteuid() == 0)
        capability_set_found(ret, text_copy("running as root"));
    else
        capability_set_gap(ret, text_format("running as uid %u", geteuid()),
                           text_copy("run as root, for example by sudo -E"));
}

static int make_namespaces(const void *context)
{
    (void)context;
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWCGROUP) < 0 || mount_namespace_isolate() < 0)
        return errno;
    return 0;
}

static void probe_namespaces(struct capability_report *ret)
{
    int refused = try_in_child(make_namespaces, NULL);

    if (!refused)
        capability_set_found(ret, text_copy("mount, network, PID and cgroup namespaces"));
    else
        capability_set_gap(ret,
                           text_format("cannot make mount, network, PID and cgroup namespaces: %s", strerror(refused)),
                           text_copy("run as root; in a container, give it the capability SYS_ADMIN"));
}

/* scripts/setup makes <cache>/images a link to the image store of the current recipes. */
static int check_image_store(const char *store, struct error *err)
{
    static const char *const wanted[] = {"localhost/hello-web:v1", "localhost/hello-web:v2", "localhost/toolbox:v1"};
    cleanup_free char *path = text_format("%s/overlay-images/images.json", store);
    cleanup_free char *data = NULL;
    size_t size = 0;

    if (file_read(path, 1 << 20, &data, &size, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        cleanup_free char *quoted = text_format("\"%s\"", wanted[i]);
        if (!strstr(data, quoted))
            return error_set(err, &general_error_domain, GENERAL_NOT_FOUND, "looking for the image", wanted[i],
                             "%s has no such name", path);
    }
    return 0;
}

/* The store's path (caller frees), or NULL with the reason in *gap (caller frees). */
static char *find_image_store(char **gap)
{
    cleanup_free char *link = text_format("%s/images", cache_directory());
    cleanup_free char *store = realpath(link, NULL);
    cleanup_error struct error why = ERROR_INIT;

    if (store && check_image_store(store, &why) == 0)
        return TAKE_PTR(store);
    *gap = store ? error_text(&why) : text_format("not built (no %s)", link);
    return NULL;
}

int test_image_store_find(char **ret, struct error *err)
{
    cleanup_free char *gap = NULL;
    char *store = find_image_store(&gap);

    if (!store)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding the test images", NULL, "%s; %s",
                         gap, IMAGES_REMEDY);
    *ret = store;
    return 0;
}

static void probe_test_images(struct capability_report *ret)
{
    char *gap = NULL;
    char *store = find_image_store(&gap);

    if (store)
        capability_set_found(ret, store);
    else
        capability_set_gap(ret, gap, text_copy(IMAGES_REMEDY));
}

int registry_program_find(char **ret, struct error *err)
{
    cleanup_free char *cached = text_format("%s/docker-registry/usr/bin/docker-registry", cache_directory());
    char *found = access(cached, X_OK) == 0 ? TAKE_PTR(cached) : capability_find_program("docker-registry");

    if (!found)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding", "docker-registry",
                         "it is neither in %s nor in PATH; " REGISTRY_REMEDY, cache_directory());
    *ret = found;
    return 0;
}

static void probe_registry(struct capability_report *ret)
{
    cleanup_error struct error missing = ERROR_INIT;
    char *path = NULL;

    if (registry_program_find(&path, &missing) == 0)
        capability_set_found(ret, path);
    else
        capability_set_gap(ret, text_format("docker-registry is neither in %s nor in PATH", cache_directory()),
                           text_copy(REGISTRY_REMEDY));
}

/* One probe a capability and process */

static pthread_mutex_t reports_lock = PTHREAD_MUTEX_INITIALIZER;
static struct capability_report reports[CAPABILITY_COUNT];
static bool probed[CAPABILITY_COUNT];

static void (*const probes[CAPABILITY_COUNT])(struct capability_report *) = {
    [CAPABILITY_ROOT] = probe_root,
    [CAPABILITY_NAMESPACES] = probe_namespaces,
    [CAPABILITY_NATS_SERVER] = probe_nats_server,
    [CAPABILITY_PODMAN] = probe_podman,
    [CAPABILITY_TEST_IMAGES] = probe_test_images,
    [CAPABILITY_REGISTRY] = probe_registry,
    [CAPABILITY_SSHD] = probe_sshd,
    [CAPABILITY_SSH] = probe_ssh,
    [CAPABILITY_LIBVIRT] = probe_libvirt,
    [CAPABILITY_QEMU] = probe_qemu,
    [CAPABILITY_VM_IMAGE] = probe_vm_image,
    [CAPABILITY_VM_AGENT] = probe_vm_agent,
    [CAPABILITY_VM_WORKLOADS] = probe_vm_workloads,
    [CAPABILITY_CLUSTER] = probe_cluster,
};

void capability_probe(enum capability capability, struct capability_report *ret)
{
    *ret = (struct capability_report){0};
    if ((unsigned int)capability >= CAPABILITY_COUNT) {
        capability_set_gap(ret, text_copy("there is no such capability"), text_copy("none"));
        return;
    }
    pthread_mutex_lock(&reports_lock);
    struct capability_report *report = &reports[capability];
    if (!probed[capability])
        probes[capability](report);
    probed[capability] = true;
    *ret = (struct capability_report){
        .available = report->available,
        .found = text_copy(report->found),
        .gap = text_copy(report->gap),
        .remedy = text_copy(report->remedy),
    };
    pthread_mutex_unlock(&reports_lock);
}
