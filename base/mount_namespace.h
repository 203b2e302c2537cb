/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/cleanup.h"

/**
 * Call first in a mount namespace just made (unshare(2) or clone(2) with CLONE_NEWNS): from here on no mount made in it
 * is seen outside, nor the other way round, and "/" is a mount point, which pivot_root(2) asks of whoever starts a
 * container. In a chroot into a plain directory it is none; there the calling process ends up in a copy of the same
 * tree, with the same files under the same names, its working directory "/". That takes a mount point to keep the copy at: /proc must be one.
 * Only async-signal-safe calls: for children of programs with threads too.
 * Returns 0, or -1 with errno (EINVAL: neither "/" nor /proc is a mount point).
 */
MUST_CHECK int mount_namespace_isolate(void);
