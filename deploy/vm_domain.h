/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A virtual machine of a fleet as a libvirt domain: direct kernel boot, a disk, a seed, a serial console into a file,
 * one network interface, a random number generator; nothing else.
 *
 * Source: https://libvirt.org/formatdomain.html
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/text.h"

#define VM_AARCH64 "aarch64"
#define VM_X86_64  "x86_64"
#define VM_TCG     "tcg"
#define VM_KVM     "kvm"

/** Serial number by which a guest finds its seed: /dev/disk/by-id/virtio-fleet-seed. */
#define VM_SEED_SERIAL "fleet-seed"

/** What the guest can tell of its machine: a saved state fits only the very same. */
struct vm_machine {
    const char *architecture; /**< VM_AARCH64, VM_X86_64 */
    const char *accelerator;  /**< VM_TCG, VM_KVM */
    int memory_mib;           /**< MiB */
    int processors;
    const char *kernel; /**< absolute paths */
    const char *initrd;
    const char *kernel_arguments; /**< added to what the architecture needs; NULL: none */
};

struct vm_domain {
    const char *name;
    struct vm_machine machine;
    const char *disk;    /**< absolute path, qcow2 */
    const char *seed;    /**< absolute path, raw */
    const char *console; /**< absolute path; appended to */
    const char *network; /**< of libvirt */
    const char *mac;     /**< "52:54:00:xx:xx:xx" */
    bool unplugged;      /**< the cable of its network interface is not plugged in at first */
};

/** Refuse what no domain can be made of. Errors: GENERAL_INVALID naming the field. */
MUST_CHECK int vm_domain_check(const struct vm_domain *domain, struct error *err);
/** The definition. Caller frees. */
char *vm_domain_xml(const struct vm_domain *domain);
/**
 * What differs between two definitions in what vm_domain_xml() says, as "memory is 524288 KiB, not 786432 KiB; …";
 * *ret is empty when nothing does. `existing` may be as libvirt completes it.
 */
MUST_CHECK int vm_domain_differences(const char *existing, const char *wanted, struct text_buffer *ret,
                                     struct error *err);
/** A MAC address of QEMU's range (52:54:00) that derives from the domain's name. Caller frees. */
char *vm_domain_mac(const char *name);
