/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Removing what a run made in a hypervisor, by libvirt's API (https://libvirt.org/html/). What is not there is removed.
 */

#include <libvirt/libvirt.h>

#include "base/error.h"

/**
 * Destroy the domain and undefine it, with its managed save, the metadata of its snapshots and checkpoints and its
 * NVRAM. Errors: GENERAL_FAILED in libvirt's words.
 */
MUST_CHECK int libvirt_remove_domain(virConnectPtr connection, const char *name, struct error *err);
/** Destroy the virtual network and undefine it. Errors: GENERAL_FAILED in libvirt's words. */
MUST_CHECK int libvirt_remove_network(virConnectPtr connection, const char *name, struct error *err);
