/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What this machine can do, found by probing (never by name) and by one function for tests and `fleet-e2e doctor`.
 */

#include <stdbool.h>

#include "base/error.h"

enum capability {
    CAPABILITY_ROOT,
    CAPABILITY_NAMESPACES,   /**< mount, network, PID and cgroup namespaces can be made */
    CAPABILITY_NATS_SERVER,  /**< nats-server >= 2.10 ($FLEET_NATS_SERVER, the cache, PATH) */
    CAPABILITY_PODMAN,       /**< podman >= 4 with an OCI runtime that starts a container here */
    CAPABILITY_TEST_IMAGES,  /**< the built test images in the cache */
    CAPABILITY_REGISTRY,     /**< docker-registry */
    CAPABILITY_SSHD,         /**< sshd and sudo, for a machine of one's own that is logged in to */
    CAPABILITY_SSH,          /**< the ssh program, for `fleet-e2e ssh` */
    CAPABILITY_LIBVIRT,      /**< libvirtd with its QEMU driver, dnsmasq, and bridges and TUN devices for its network */
    CAPABILITY_QEMU,         /**< qemu-system-<architecture> and qemu-img for the guests of FLEET_E2E_VM_ARCH */
    CAPABILITY_VM_IMAGE,     /**< the guest image of FLEET_E2E_VM_ARCH and FLEET_E2E_VM_BASE in the cache */
    CAPABILITY_VM_AGENT,     /**< harmony-fleet-agent built for that architecture */
    CAPABILITY_VM_WORKLOADS, /**< the registry's storage with the images that guests run */
    CAPABILITY_CLUSTER,      /**< the Kubernetes cluster that FLEET_E2E_CLUSTER, else what there is, chooses */
    CAPABILITY_COUNT
};

struct capability_report {
    bool available;
    char *found;  /**< "nats-server 2.10.27 (~/.cache/…)"; owned */
    char *gap;    /**< why not, NULL when available; owned */
    char *remedy; /**< the command or setting that mends it, NULL when available; owned */
};
void capability_report_clear(struct capability_report *report);

/** "nats-server", as doctor and skips show it; borrowed. */
const char *capability_name(enum capability capability);
/** Probe one. Never fails: a probe that breaks is a gap. Results are cached for the life of the process. */
void capability_probe(enum capability capability, struct capability_report *ret);

/** How podman must be run here; found by the CAPABILITY_PODMAN probe. */
struct podman_needs {
    const char *program; /**< absolute path of podman; borrowed */
    const char *runtime; /**< "crun" or "runc": the first that can work with this machine's control groups; borrowed */
    const char *runtime_path;
    bool needs_ulimits; /**< limits must be set explicitly (the hard limits cannot be raised here) */
    long nofile, nproc; /**< limits to set when needs_ulimits */
};
/** Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int podman_needs_find(struct podman_needs *ret, struct error *err);
/** Absolute path of the nats-server to use. Caller frees. Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int nats_server_find(char **ret, struct error *err);
/** The image store scripts/setup built: where <cache>/images points. Caller frees. Errors: GENERAL_UNSUPPORTED. */
MUST_CHECK int test_image_store_find(char **ret, struct error *err);
/** Absolute path of the docker-registry to use. Caller frees. Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int registry_program_find(char **ret, struct error *err);
/** Directory with usr/sbin/sshd and usr/bin/sudo: <cache>/sshd, or "/" where they are installed. Caller frees. */
MUST_CHECK int sshd_tree_find(char **ret, struct error *err);
/** Absolute path of ssh. Caller frees. Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int ssh_program_find(char **ret, struct error *err);

/* For virtual machines (capability_vm.c). `architecture` is "aarch64" or "x86_64". */

struct libvirt_programs {
    char *libvirtd; /**< absolute paths; owned */
    char *dnsmasq;
};
void libvirt_programs_clear(struct libvirt_programs *programs);
static inline void libvirt_programs_clear_at_exit(struct libvirt_programs *programs)
{
    libvirt_programs_clear(programs);
}
#define cleanup_libvirt_programs __attribute__((cleanup(libvirt_programs_clear_at_exit)))
/** What a libvirtd of one's own is run with. Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int libvirt_find(struct libvirt_programs *ret, struct error *err);

struct qemu_programs {
    char *system; /**< absolute path of qemu-system-<architecture>; owned */
    char *image;  /**< of qemu-img; owned */
};
void qemu_programs_clear(struct qemu_programs *programs);
static inline void qemu_programs_clear_at_exit(struct qemu_programs *programs)
{
    qemu_programs_clear(programs);
}
#define cleanup_qemu_programs __attribute__((cleanup(qemu_programs_clear_at_exit)))
/** Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int qemu_find(const char *architecture, struct qemu_programs *ret, struct error *err);

/** Absolute paths below the directory that <cache>/vm/<architecture>/<kind> points to now; owned. */
struct vm_image {
    char *directory;
    char *disk;
    char *kernel;
    char *initrd;
};
void vm_image_clear(struct vm_image *image);
static inline void vm_image_clear_at_exit(struct vm_image *image)
{
    vm_image_clear(image);
}
#define cleanup_vm_image __attribute__((cleanup(vm_image_clear_at_exit)))
/** `kind` is "golden" or "stock". Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int vm_image_find(const char *architecture, const char *kind, struct vm_image *ret, struct error *err);
/** Path of the agent that scripts/build-agent built. Caller frees. Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int vm_agent_find(const char *architecture, char **ret, struct error *err);
/** The directory <cache>/registry points to now: the storage of a docker-registry. Caller frees. Errors: as above. */
MUST_CHECK int vm_workloads_find(char **ret, struct error *err);

/* For Pods (capability_cluster.c) */

/** What the native cluster is made of: what <cache>/kubernetes and <cache>/cluster-tools point to now; owned. */
struct cluster_programs {
    char *kubernetes; /**< directory of kube-apiserver and its like */
    char *tools;      /**< tree with usr/bin/etcd and its like, and pause.tar */
};
void cluster_programs_clear(struct cluster_programs *programs);
static inline void cluster_programs_clear_at_exit(struct cluster_programs *programs)
{
    cluster_programs_clear(programs);
}
#define cleanup_cluster_programs __attribute__((cleanup(cluster_programs_clear_at_exit)))
/** Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int cluster_programs_find(struct cluster_programs *ret, struct error *err);
/** Absolute path of k3d, where docker is too. Caller frees. Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int k3d_find(char **ret, struct error *err);
struct cluster_environment;
/** The first file of environment->kubeconfig that can be read, as an absolute path, where a registry for images is named
 *  too. Caller frees. Errors: GENERAL_UNSUPPORTED with remedy. */
MUST_CHECK int cluster_kubeconfig_find(const struct cluster_environment *environment, char **ret, struct error *err);

/** ~/.cache/harmony-fleet (or $FLEET_CACHE, $XDG_CACHE_HOME/harmony-fleet; absolute paths). Borrowed. */
const char *cache_directory(void);

/** `fleet-e2e doctor`: every capability as a table with found/gap/remedy and this machine's quirks. Returns exit code: 0
 * when every capability of `require` (host,pod,vm; NULL: host) is there. */
int doctor_main(const char *require);
