/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A guest's seed: a small disk with what makes a guest of an image a device of its own. Read by fleet-identity in the
 * guest (docs/vm-images.md has the format).
 */

#include "base/error.h"

struct vm_identity {
    const char *hostname;
    const char *mac;
    const char *host_key;        /**< path of an OpenSSH private key file: the guest's SSH host key */
    const char *host_key_public; /**< its public line */
    const char *authorized_key;  /**< the administrator's public line */
};

/**
 * Write the seed at `path` (0600), in place: a guest may have it open. identity NULL: that of a pristine guest, which
 * waits for another one. Everything else that must not be shared (machine-id, random bytes) is made here, anew each time.
 * Errors: system; GENERAL_TOO_LARGE.
 */
MUST_CHECK int vm_seed_write(const char *path, const struct vm_identity *identity, struct error *err);
