/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Digests by which a host's copy of something is known to be ours without sending it there.
 */

#include <stddef.h>

/** Size of a digest as text: 64 lower-case hex digits and a terminator. */
#define DIGEST_SIZE 65

/** SHA-256 (FIPS 180-4) of `size` bytes, as sha256sum(1) writes it. */
void digest_sha256(const void *data, size_t size, char ret[DIGEST_SIZE]);
