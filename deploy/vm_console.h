/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A guest's serial console, which libvirt writes to a file.
 */

#include "deploy/hypervisor.h"

/** What fleet-identity says on the console (docs/vm-images.md). */
#define VM_CONSOLE_READY   "fleet-identity: ready"
#define VM_CONSOLE_APPLIED "fleet-identity: applied "

/**
 * Wait until the console's file has `text` in it.
 * Errors: GENERAL_TIMEOUT with the console's end; GENERAL_FAILED when the guest's kernel panics or the domain ends.
 */
MUST_CHECK int vm_console_wait(const struct hypervisor *hypervisor, const char *domain, const char *path,
                               const char *text, struct deadline deadline, struct error *err);
