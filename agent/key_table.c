/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/key_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/** Where the deployment is or would be put. */
static size_t place_of(const struct key_table *table, const char *deployment, bool *found)
{
    size_t low = 0;
    size_t high = table->count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(table->entries[middle].deployment, deployment);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void key_table_set(struct key_table *table, const char *deployment, uint64_t revision)
{
    bool found;
    size_t place = place_of(table, deployment, &found);

    if (!found) {
        table->entries = memory_resize(table->entries, table->count + 1, sizeof(*table->entries));
        memmove(&table->entries[place + 1], &table->entries[place], (table->count - place) * sizeof(*table->entries));
        table->count++;
        snprintf(table->entries[place].deployment, sizeof(table->entries[place].deployment), "%s", deployment);
    }
    table->entries[place].revision = revision;
}

void key_table_remove(struct key_table *table, const char *deployment)
{
    bool found;
    size_t place = place_of(table, deployment, &found);

    if (!found)
        return;
    table->count--;
    memmove(&table->entries[place], &table->entries[place + 1], (table->count - place) * sizeof(*table->entries));
}

const struct key_entry *key_table_find(const struct key_table *table, const char *deployment)
{
    bool found;
    size_t place = place_of(table, deployment, &found);

    return found ? &table->entries[place] : NULL;
}

bool key_table_equal(const struct key_table *a, const struct key_table *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (a->entries[i].revision != b->entries[i].revision ||
            strcmp(a->entries[i].deployment, b->entries[i].deployment) != 0)
            return false;
    }
    return true;
}

const char **key_table_names(const struct key_table *table)
{
    const char **names = NEW_ARRAY(const char *, table->count + 1);

    for (size_t i = 0; i < table->count; i++)
        names[i] = table->entries[i].deployment;
    return names;
}

void key_table_clear(struct key_table *table)
{
    free(table->entries);
    *table = (struct key_table){0};
}
