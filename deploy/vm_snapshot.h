/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A snapshot: a guest of an image that has booted and is nobody yet, saved with its memory. Restoring it as one device
 * or another takes a fraction of a boot.
 */

#include "deploy/hypervisor.h"
#include "deploy/vm_domain.h"

struct vm_snapshot_options {
    const char *name; /**< of the domain while it is made */
    struct vm_machine machine;
    const char *image;     /**< raw disk image */
    const char *directory; /**< absolute, exists: VM_SNAPSHOT_* and the console go there */
    const char *network;   /**< of libvirt, running; the guest is not let into it */
};

/* Files in the directory. */
#define VM_SNAPSHOT_DISK  "disk.qcow2" /* on top of the image */
#define VM_SNAPSHOT_STATE "state"

/**
 * Boot a pristine guest, save it when it is ready, forget the domain.
 * Errors: libvirt, process; GENERAL_TIMEOUT, GENERAL_FAILED with the console's end. Then the directory is of no use, and
 * the domain may be there still.
 */
MUST_CHECK int vm_snapshot_make(const struct vm_snapshot_options *options, struct hypervisor *hypervisor,
                                struct deadline deadline, struct error *err);
