/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every deployment of this device. Used by the reconciler's worker thread only.
 */

#include "agent/deployment.h"

struct deployment_table {
    struct deployment **items;
    size_t count;
};

/** NULL when there is none of that name. */
struct deployment *deployment_table_find(const struct deployment_table *table, const char *name);
/** The one of that name, made if need be. */
struct deployment *deployment_table_need(struct deployment_table *table, const char *name);
/** Remove and free the one at `index`; the last takes its place. */
void deployment_table_remove(struct deployment_table *table, size_t index);
/** How many are being worked on. */
size_t deployment_table_working(const struct deployment_table *table);
/** Cancels all work first, so that it ends side by side. */
void deployment_table_clear(struct deployment_table *table);
