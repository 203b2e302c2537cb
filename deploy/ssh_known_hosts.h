/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to ssh_session: which host keys are accepted. Known-hosts files are those of ssh(1) (see sshd(8)), but no
 * file is read that the caller did not name.
 */

#include <libssh/libssh.h>

#include "base/error.h"

/** The keys a host may show. Zero-initialised is empty: the host is unknown. */
struct ssh_pins {
    ssh_key *keys;
    size_t count;
};
void ssh_pins_clear(struct ssh_pins *pins);
static inline void ssh_pins_clear_at_exit(struct ssh_pins *pins)
{
    ssh_pins_clear(pins);
}
#define cleanup_ssh_pins __attribute__((cleanup(ssh_pins_clear_at_exit)))

/** Pin the one key of a text "ssh-ed25519 AAAA… comment". Errors: GENERAL_INVALID. */
MUST_CHECK int ssh_pins_parse(const char *text, struct ssh_pins *ret, struct error *err);
/** Pin what a known-hosts file has for a host; lines it cannot read are skipped, as ssh(1) does. A missing file has none. */
MUST_CHECK int ssh_pins_read(const char *path, const char *address, int port, struct ssh_pins *ret, struct error *err);
/** Is it one of them? */
bool ssh_pins_have(const struct ssh_pins *pins, ssh_key key);
/** Algorithms to ask the host for, those of the pinned keys first, so that it shows the key that is known. Caller frees. */
char *ssh_pins_algorithms(const struct ssh_pins *pins);

/** "ssh-ed25519 AAAA…"; "SHA256:…", as ssh-keygen -l shows it. Caller frees. */
char *ssh_host_key_text(ssh_key key);
char *ssh_host_key_fingerprint(ssh_key key);
/** Add a host's key to a known-hosts file (0600 if it is new), in one write and durably. */
MUST_CHECK int ssh_known_hosts_add(const char *path, const char *address, int port, ssh_key key, struct error *err);
