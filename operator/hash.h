/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * FNV-1a: tells one content from another; nothing that must withstand an attacker hangs on it.
 * Source: https://datatracker.ietf.org/doc/draft-eastlake-fnv/
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_INIT UINT64_C(0xcbf29ce484222325)

/** Go on hashing with `size` bytes. */
static inline uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/** Go on with a text and its end, so that "a", "b" is not "ab". NULL is another than "". */
static inline uint64_t hash_text(uint64_t hash, const char *text)
{
    return text ? hash_bytes(hash, text, strlen(text) + 1) : hash_bytes(hash, "\1", 1);
}
