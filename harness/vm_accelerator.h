/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Does KVM boot a guest here? That /dev/kvm exists, or can be opened, says little: only booting one does. Decided once a
 * boot of this machine, for one kernel, qemu and processor, and remembered in the cache.
 */

#include <stdbool.h>

#include "base/error.h"
#include "harness/vm_environment.h"

/** What the guest's initramfs prints on its console before it powers off, when its kernel command line has
 *  VM_PROBE_ARGUMENT (images/vm). */
#define VM_PROBE_MARKER   "fleet-initramfs: alive"
#define VM_PROBE_ARGUMENT "fleet.probe"

/** A guest to try. All strings are borrowed. */
struct guest_trial {
    const char *architecture; /**< "aarch64" or "x86_64" */
    const char *accelerator;  /**< "kvm": with the host's processor; "tcg" */
    const char *qemu;         /**< absolute path of qemu-system-<architecture> */
    const char *kernel;       /**< paths */
    const char *initrd;
    int limit_ms; /**< the guest is killed after that many milliseconds */
};

/** True if the guest printed the marker. Else *why has the reason, one short line (caller frees). */
bool guest_boots(const struct guest_trial *trial, char **why);

struct vm_accelerator {
    const char *name; /**< "kvm" or "tcg"; a constant */
    char *reason;     /**< why this one, one line; owned */
};
void vm_accelerator_clear(struct vm_accelerator *accelerator);
static inline void vm_accelerator_clear_at_exit(struct vm_accelerator *accelerator)
{
    vm_accelerator_clear(accelerator);
}
#define cleanup_vm_accelerator __attribute__((cleanup(vm_accelerator_clear_at_exit)))

/**
 * The accelerator for guests of this environment: the chosen one, else kvm if a guest of this architecture boots with
 * it here (the kernel and initrd in <cache>/vm/<architecture>/golden are tried, 15 s at most), else tcg. Never fails: a
 * trial that breaks is a reason for tcg.
 */
void vm_accelerator_find(const struct vm_environment *environment, struct vm_accelerator *ret);
/** Try again when it is next asked for (doctor: the user may just have mended it). */
void vm_accelerator_forget(void);
