/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/deployment_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct deployment *deployment_table_find(const struct deployment_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->items[i]->name, name) == 0)
            return table->items[i];
    }
    return NULL;
}

struct deployment *deployment_table_need(struct deployment_table *table, const char *name)
{
    struct deployment *deployment = deployment_table_find(table, name);

    if (deployment)
        return deployment;
    table->items = memory_resize(table->items, table->count + 1, sizeof(struct deployment *));
    deployment = deployment_new(name);
    table->items[table->count++] = deployment;
    return deployment;
}

void deployment_table_remove(struct deployment_table *table, size_t index)
{
    deployment_free(table->items[index]);
    table->items[index] = table->items[--table->count];
}

size_t deployment_table_working(const struct deployment_table *table)
{
    size_t working = 0;

    for (size_t i = 0; i < table->count; i++)
        working += table->items[i]->work != NULL;
    return working;
}

void deployment_table_clear(struct deployment_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->items[i]->work)
            work_cancel(table->items[i]->work);
    }
    while (table->count > 0)
        deployment_table_remove(table, table->count - 1);
    free(table->items);
    *table = (struct deployment_table){0};
}
