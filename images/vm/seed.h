/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The seed: a small disk by which a guest is told who it is. Text lines, padded with NULs to the end of the disk:
 *
 *     FLEET-SEED 1
 *     kind=device
 *     name=value (see struct seed; each at most once)
 *     end=1
 *
 * It may be rewritten while the guest looks: without its last line it is not taken.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/** Bytes of a seed disk; what is longer is not looked at. */
#define SEED_SIZE (64u << 10)

/** What stands on a disk is not a seed that can be taken. */
extern const struct error_domain seed_error_domain;
enum seed_error {
    SEED_ABSENT = 1, /**< it does not begin as a seed does */
    SEED_INCOMPLETE, /**< its last line is not there (yet) */
    SEED_INVALID,    /**< the detail names the line */
};

enum seed_kind {
    SEED_PRISTINE = 1, /**< the guest is going to be saved: it has to wait for its identity */
    SEED_DEVICE,       /**< the identity of a device */
};

/** All a device's seed has to tell but the MAC address, which it may. Of a pristine one only the kind is used. */
struct seed {
    enum seed_kind kind;
    char *hostname;       /**< hostname=: one label, at most 63 bytes */
    char *machine_id;     /**< machine-id=: 32 lower-case hex digits */
    unsigned char mac[6]; /**< mac=: of the network card */
    bool has_mac;
    char *host_key;        /**< host-key=, base64: the file of an OpenSSH ed25519 private key, as it was before */
    char *host_key_public; /**< host-key-public=: the line of its .pub file, without a newline */
    char *authorized_key;  /**< authorized-key=: a line of authorized_keys, without a newline */
    unsigned char *random; /**< random=, base64: for the kernel's random number generator */
    size_t random_size;    /**< bytes: 32 to 4096 */
};

/**
 * Read the `size` bytes of a seed disk. The caller clears *ret.
 * Errors: seed_error_domain; a SEED_INVALID one names the number of the line.
 */
MUST_CHECK int seed_parse(const char *block, size_t size, struct seed *ret, struct error *err);

void seed_clear(struct seed *seed);
static inline void seed_clear_at_exit(struct seed *seed)
{
    seed_clear(seed);
}
#define cleanup_seed __attribute__((cleanup(seed_clear_at_exit)))
