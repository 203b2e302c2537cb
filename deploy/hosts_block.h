/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Our block of lines in /etc/hosts. Everything around it belongs to somebody else and is kept byte by byte.
 */

#include <stddef.h>

#include "base/error.h"

#define HOSTS_BLOCK_BEGIN "# BEGIN harmony-fleet (written by a deployment: the next one replaces it)"
#define HOSTS_BLOCK_END   "# END harmony-fleet"

struct hosts_entry {
    const char *address; /**< IPv4 or IPv6, numeric */
    const char *name;    /**< host name: RFC 1123 */
};

/** Refuse what is no line of hosts(5). Errors: GENERAL_INVALID. */
MUST_CHECK int hosts_entry_check(const struct hosts_entry *entry, struct error *err);

/**
 * The file with our block holding these entries: where the block was, else at the end; without entries there is none.
 * The same bytes as before if nothing is to be changed. Caller frees *ret.
 * @param text, size     the file as it is
 * Errors: GENERAL_CONFLICT for a block that begins and does not end: what follows it may be somebody else's.
 */
MUST_CHECK int hosts_block_replace(const char *text, size_t size, const struct hosts_entry *entries, size_t count,
                                   char **ret, size_t *ret_size, struct error *err);
