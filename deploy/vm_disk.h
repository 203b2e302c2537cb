/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"

/** Make a qcow2 disk at `path` that begins as `image` ("raw" or "qcow2"), which is not written to. Errors: process. */
MUST_CHECK int vm_disk_make(const char *path, const char *image, const char *format, struct deadline deadline,
                            struct error *err);
