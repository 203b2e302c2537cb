/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"

/**
 * Call first in a mount namespace just made (unshare(2) or clone(2) with CLONE_NEWNS): from here on no mount made in it
 * is seen outside, nor the other way round, and what is "/" for the calling process is the root of the whole namespace.
 * In a chroot it is not: there nobody can start a container properly, for pivot_root(2) asks for a mount point, and who
 * enters the namespace of a container later (podman exec) would find the tree outside the chroot. The working directory
 * becomes "/".
 * Only async-signal-safe calls: for children of programs with threads too.
 * Returns 0, or -1 with errno.
 */
MUST_CHECK int mount_namespace_isolate(void);
