/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "images/vm/seed.h"

/** The user that devices are logged in to as; its authorized key is the seed's. */
#define IDENTITY_USER "fleet-admin"

/**
 * Write the identity of a device's seed into the files below `root` ("" for /): hostname, machine-id, sshd's host key
 * and the key authorized for IDENTITY_USER, who must be in its /etc/passwd. A file that is as it should be is left
 * alone; others are replaced at once, or not at all. What is saved of the random number generator is removed when
 * anything changed, for it is another guest's. *changed tells whether anything did.
 * Errors: system (errno); general/GENERAL_NOT_FOUND without that user.
 */
MUST_CHECK int identity_files_write(const char *root, const struct seed *seed, bool *changed, struct error *err);

/** Write the machine-id alone. Errors: system (errno). Source: machine-id(5). */
MUST_CHECK int identity_files_write_machine_id(const char *root, const char *machine_id, bool *changed,
                                               struct error *err);
