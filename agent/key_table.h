/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which keys a device has in desired-state, by deployment, with their revisions: what came over the watch.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contracts/names.h"

struct key_entry {
    char deployment[TOKEN_MAX + 1];
    uint64_t revision;
};

/** Sorted by deployment; zero-initialised is empty. */
struct key_table {
    struct key_entry *entries;
    size_t count;
};
/** Add or renew. */
void key_table_set(struct key_table *table, const char *deployment, uint64_t revision);
void key_table_remove(struct key_table *table, const char *deployment);
/** NULL when it is not there. Borrowed until the next change. */
const struct key_entry *key_table_find(const struct key_table *table, const char *deployment);
bool key_table_equal(const struct key_table *a, const struct key_table *b);
/** The deployments as an array of borrowed names; the caller frees the array. Never NULL. */
const char **key_table_names(const struct key_table *table);
void key_table_clear(struct key_table *table);
