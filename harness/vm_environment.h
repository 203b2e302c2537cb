/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What kind of virtual machine the tests bring up, chosen by environment variables.
 */

#include "base/error.h"

#define VM_ARCHITECTURE "FLEET_E2E_VM_ARCH"  /* aarch64 (default), x86_64 */
#define VM_BASE         "FLEET_E2E_VM_BASE"  /* snapshot (default), image, stock */
#define VM_ACCELERATOR  "FLEET_E2E_VM_ACCEL" /* kvm, tcg; default: kvm where a guest boots with it */

/** All strings are constants. */
struct vm_environment {
    const char *architecture; /**< of the guests: "aarch64" or "x86_64" */
    const char *base;         /**< "snapshot": restored; "image": booted from ours; "stock": Debian's, set up by apt */
    const char *accelerator;  /**< "kvm" or "tcg" if it was chosen; NULL: ask vm_accelerator_find */
};

/**
 * Read the three variables; an empty one counts as not set.
 * Errors: GENERAL_INVALID with the variable as subject, naming its value and what it may be.
 */
MUST_CHECK int vm_environment_read(struct vm_environment *ret, struct error *err);

/** "aarch64" or "x86_64", as uname(2) says; NULL where it says something else. A constant. */
const char *vm_host_architecture(void);
