/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The key pair a fleet's administrator logs in to devices with, made once and kept.
 */

#include "base/error.h"

/** Name of the private key in its directory; the public one has ".pub" after it. */
#define SSH_KEY_NAME "id_ed25519"

struct ssh_key_pair {
    char *private_key; /**< path; owned */
    char *public_key;  /**< "ssh-ed25519 AAAA… harmony-fleet", without a newline: a line of authorized_keys; owned */
};
void ssh_key_pair_clear(struct ssh_key_pair *pair);
static inline void ssh_key_pair_clear_at_exit(struct ssh_key_pair *pair)
{
    ssh_key_pair_clear(pair);
}
#define cleanup_ssh_key_pair __attribute__((cleanup(ssh_key_pair_clear_at_exit)))

/** $XDG_DATA_HOME/harmony/fleet/ssh, by default ~/.local/share/harmony/fleet/ssh. Caller frees. */
char *ssh_key_default_directory(void);

/**
 * The key pair in `directory` (NULL: the default one), made if there is none: unencrypted ed25519, private key 0600,
 * directory 0700. However many processes do this at once, all get the same.
 * Errors: GENERAL_INVALID for a private key that others can read or that is none; system.
 */
MUST_CHECK int ssh_key_pair_ensure(const char *directory, struct ssh_key_pair *ret, struct error *err);

/**
 * Check a public key as a line of authorized_keys without options: "type base64 [comment]", one line.
 * @param ret  "type base64", what makes it this key; caller frees
 * Errors: GENERAL_INVALID.
 */
MUST_CHECK int ssh_public_key_check(const char *line, char **ret, struct error *err);
