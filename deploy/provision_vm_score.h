/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ProvisionVmScore: one virtual machine that can be logged in to. A no-op where it is there already and matches.
 */

#include "deploy/score.h"
#include "deploy/ssh_session.h"
#include "deploy/vm_domain.h"

/** The administrator that every image has; see docs/vm-images.md. */
#define VM_ADMIN_USER "fleet-admin"

struct provision_vm_score {
    const char *name; /**< of the domain, and the guest's host name */
    struct vm_machine machine;
    const char *directory;    /**< absolute, exists: disk, seed, console and host key of this machine go there */
    const char *image;        /**< absolute path of the disk image it begins with; never written to */
    const char *image_format; /**< "raw" or "qcow2" */
    const char *saved_state;  /**< restore this instead of booting; made by vm_snapshot_make(); NULL: boot */
    /** A seed prepared by the caller (say, for cloud-init) instead of one for fleet-identity; NULL: the latter. */
    const char *seed;
    const char *network;     /**< of libvirt, running: "default" */
    const char *private_key; /**< path of the administrator's SSH key */
    const char *public_key;  /**< its line for authorized_keys */
};

struct vm_provisioned {
    char *address;               /**< given by the network's DHCP; owned */
    char *host_key;              /**< "ssh-ed25519 AAAA…"; owned */
    char *console;               /**< path of the serial console's file; owned */
    struct ssh_session *session; /**< as VM_ADMIN_USER, open; owned */
    struct score_outcome outcome;
};
void vm_provisioned_clear(struct vm_provisioned *provisioned);

/* Files in a machine's directory. */
#define VM_DISK_FILE        "disk.qcow2"
#define VM_SEED_FILE        "seed.img"
#define VM_CONSOLE_FILE     "console.log"
#define VM_SAVED_STATE_FILE "saved-state" /* only while it is restored */
#define VM_HOST_KEY         "host-key"    /* a directory: ssh_key_pair_ensure() */

/**
 * Provision to a hypervisor. Smoke check: the administrator is logged in, and the host key is the machine's.
 * Errors: DEPLOY_INVALID_SCORE, DEPLOY_NO_CAPABILITY; GENERAL_CONFLICT when a domain of that name is another one, saying
 * what differs; libvirt, ssh; GENERAL_TIMEOUT, GENERAL_FAILED with the console's end.
 */
MUST_CHECK int provision_vm_score_interpret(const struct provision_vm_score *score, struct topology *topology,
                                            struct deadline deadline, struct vm_provisioned *ret, struct error *err);
/** The topology's hypervisor. Errors: DEPLOY_NO_CAPABILITY. */
MUST_CHECK int score_hypervisor(const char *score, const struct topology *topology, struct hypervisor **ret,
                                struct error *err);
