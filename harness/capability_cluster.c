/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "harness/capability_probe.h"
#include "harness/cluster_environment.h"

#define SETUP_REMEDY "run HARMONY_FLEET_E2E=1 scripts/setup"
#define K3D_REMEDY   "install k3d (https://k3d.io) and docker, or set " CLUSTER_CHOICE "=native"

void cluster_programs_clear(struct cluster_programs *programs)
{
    free(programs->kubernetes);
    free(programs->tools);
    *programs = (struct cluster_programs){0};
}

/** The directory <cache>/<link> points to, which must have all the programs. Caller frees *ret. */
static int find_tree(const char *link, const char *const *programs, char **ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/%s", cache_directory(), link);
    /* The link's target: the link itself may point to newer programs tomorrow. */
    cleanup_free char *directory = realpath(path, NULL);

    for (; *programs; programs++) {
        cleanup_free char *program = text_format("%s/%s", directory ? directory : path, *programs);
        if (access(program, R_OK) < 0)
            return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding", link, "there is no %s; %s",
                             program, SETUP_REMEDY);
    }
    *ret = TAKE_PTR(directory);
    return 0;
}

static int check_installed(struct error *err)
{
    static const char *const installed[] = {"ip", "iptables", "mount", "openssl", "runc"};

    for (size_t i = 0; i < ARRAY_SIZE(installed); i++) {
        cleanup_free char *path = capability_find_program(installed[i]);
        if (!path)
            return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding", installed[i],
                             "it is not in PATH; " SETUP_REMEDY);
    }
    return 0;
}

int cluster_programs_find(struct cluster_programs *ret, struct error *err)
{
    static const char *const kubernetes[] = {
        "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", NULL};
    static const char *const tools[] = {"usr/bin/etcd",
                                        "usr/bin/containerd",
                                        "usr/bin/containerd-shim-runc-v2",
                                        "usr/bin/ctr",
                                        "usr/bin/kubectl",
                                        "usr/lib/cni/ptp",
                                        "usr/lib/cni/host-local",
                                        "pause.tar",
                                        NULL};
    cleanup_cluster_programs struct cluster_programs found = {0};

    if (find_tree("kubernetes", kubernetes, &found.kubernetes, err) < 0 ||
        find_tree("cluster-tools", tools, &found.tools, err) < 0 || check_installed(err) < 0)
        return -1;
    *ret = (struct cluster_programs){TAKE_PTR(found.kubernetes), TAKE_PTR(found.tools)};
    return 0;
}

int k3d_find(char **ret, struct error *err)
{
    cleanup_free char *docker = capability_find_program("docker");
    char *k3d = docker ? capability_find_program("k3d") : NULL;

    if (!k3d)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding", docker ? "k3d" : "docker",
                         "it is not in PATH; " K3D_REMEDY);
    *ret = k3d;
    return 0;
}

/** Of a list of files, as PATH is one of directories, the first that can be read, whole: others than we use it, later and
 *  elsewhere. NULL: none can. Caller frees. */
static char *find_readable(const char *list)
{
    for (const char *at = list; *at; at += strspn(at, ":")) {
        size_t size = strcspn(at, ":");
        cleanup_free char *path = text_copy_n(at, size);
        char *whole = size && access(path, R_OK) == 0 ? realpath(path, NULL) : NULL;
        if (whole)
            return whole;
        at += size;
    }
    return NULL;
}

/** "host", "host:5000", "host:5000/fleet", with or without "http://" before it: what an image's name may begin with.
 *  Source: https://pkg.go.dev/github.com/distribution/reference (domain and path) */
static bool registry_is_valid(const char *registry)
{
    static const char domain_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]";
    static const char path_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-/";
    const char *domain = registry + (text_starts_with(registry, "http://") ? strlen("http://") : 0);
    size_t size = strspn(domain, domain_characters);
    const char *path = domain + size;

    return size > 0 && (*path == '\0' || *path == '/') && path[strspn(path, path_characters)] == '\0' &&
           !text_ends_with(path, "/") && !strstr(path, "//");
}

int cluster_kubeconfig_find(const struct cluster_environment *environment, char **ret, struct error *err)
{
    cleanup_free char *path = environment->kubeconfig ? find_readable(environment->kubeconfig) : NULL;

    if (!path && environment->kubeconfig)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "reading", "KUBECONFIG",
                         "no file that it names can be read (%s); set it to the kubeconfig file of a cluster",
                         environment->kubeconfig);
    if (!path)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "reading", "KUBECONFIG",
                         "it is not set; set it to the kubeconfig file of a cluster");
    if (!environment->registry)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "reading", CLUSTER_REGISTRY,
                         "it is not set; set it to a registry that the cluster pulls from, as \"host:5000/fleet\"");
    if (!registry_is_valid(environment->registry))
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "reading", CLUSTER_REGISTRY,
                         "\"%s\" cannot begin an image's name; set it as \"host:5000/fleet\", in lower case, with "
                         "http:// before it only if it is without TLS",
                         environment->registry);
    *ret = TAKE_PTR(path);
    return 0;
}

static int probe_native(char **found, struct error *err)
{
    cleanup_cluster_programs struct cluster_programs programs = {0};

    if (geteuid() != 0)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "running", "a native cluster",
                         "we are not root; run as root, for example by sudo -E");
    if (!file_exists("/sys/fs/cgroup/cgroup.controllers") && !file_exists("/sys/fs/cgroup/memory"))
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "finding", "control groups",
                         "neither version 1 nor 2 is mounted at /sys/fs/cgroup; mount them");
    if (cluster_programs_find(&programs, err) < 0)
        return -1;
    cleanup_free char *kubelet = text_format("%s/kubelet", programs.kubernetes);
    cleanup_free char *version = capability_ask_version(kubelet, "Kubernetes ");
    *found = text_format("native: Kubernetes %s (%s)", version ? version : "?", programs.kubernetes);
    return 0;
}

static int probe_kind(const struct cluster_environment *environment, char **found, struct error *err)
{
    cleanup_free char *path = NULL;

    if (text_equal(environment->kind, "native"))
        return probe_native(found, err);
    int result =
        text_equal(environment->kind, "k3d") ? k3d_find(&path, err) : cluster_kubeconfig_find(environment, &path, err);
    if (result == 0)
        *found = text_format("%s: %s", environment->kind, path);
    return result;
}

/** "why; remedy", as all errors here say it. */
static void set_gap(struct capability_report *report, const struct error *gap)
{
    const char *detail = error_root_detail(gap);
    const char *remedy = strrchr(detail, ';');
    cleanup_free char *why = text_copy_n(detail, remedy ? (size_t)(remedy - detail) : strlen(detail));

    capability_set_gap(report, text_format("%s: %s", gap->subject, why),
                       text_copy(remedy ? remedy + strspn(remedy, "; ") : "set it to one of them, or unset it"));
}

void probe_cluster(struct capability_report *ret)
{
    cleanup_error struct error gap = ERROR_INIT;
    struct cluster_environment environment;
    char *found = NULL;

    if (cluster_environment_read(NULL, &environment, &gap) < 0 || probe_kind(&environment, &found, &gap) < 0)
        set_gap(ret, &gap);
    else
        capability_set_found(ret, found);
}
