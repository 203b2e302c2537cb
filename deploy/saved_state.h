/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * libvirt's file of a saved domain: a header, the domain's definition, QEMU's migration stream. libvirt restores it only
 * as the domain that was saved (same name and UUID); one pristine guest is to become many devices, so a copy gets the
 * definition of another domain. It must have the same machine: QEMU refuses what does not fit.
 *
 * Source: struct _virQEMUSaveHeader in libvirt's src/qemu/qemu_saveimage.h, version 2 (since libvirt 0.9)
 */

#include "base/error.h"

/**
 * Copy the saved domain at `from` to `to` (0600, replaced) as that of the domain defined by `definition`: complete, as
 * virDomainGetXMLDesc() tells it.
 * Errors: system; GENERAL_INVALID when `from` is no such file, or one of another version or compressed.
 */
MUST_CHECK int saved_state_copy(const char *from, const char *to, const char *definition, struct error *err);
