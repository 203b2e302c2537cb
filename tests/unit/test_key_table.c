/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/key_table.h"

#include <stdlib.h>

#include "base/text.h"
#include "harness/test.h"

static void key_table_clear_at_exit(struct key_table *table)
{
    key_table_clear(table);
}
#define cleanup_key_table __attribute__((cleanup(key_table_clear_at_exit)))

FLEET_TEST(key_table, is_sorted_and_renews)
{
    cleanup_key_table struct key_table table = {0};

    key_table_set(&table, "b", 2);
    key_table_set(&table, "c", 3);
    key_table_set(&table, "a", 1);
    key_table_set(&table, "b", 4);
    CHECK(table.count == 3, "%zu entries", table.count);
    cleanup_free const char **names = key_table_names(&table);
    CHECK(text_equal(names[0], "a") && text_equal(names[1], "b") && text_equal(names[2], "c"), "not sorted");
    CHECK(key_table_find(&table, "b")->revision == 4, "not renewed");
    CHECK(key_table_find(&table, "d") == NULL && key_table_find(&table, "") == NULL, "finds what is not there");
    return 0;
}

FLEET_TEST(key_table, removes)
{
    cleanup_key_table struct key_table table = {0};

    key_table_remove(&table, "a");
    key_table_set(&table, "a", 1);
    key_table_set(&table, "b", 2);
    key_table_remove(&table, "a");
    key_table_remove(&table, "a");
    CHECK(table.count == 1 && key_table_find(&table, "b"), "%zu entries", table.count);
    return 0;
}

FLEET_TEST(key_table, equality_covers_names_and_revisions)
{
    cleanup_key_table struct key_table one = {0};
    cleanup_key_table struct key_table other = {0};

    CHECK(key_table_equal(&one, &other), "empty ones differ");
    key_table_set(&one, "a", 1);
    CHECK(!key_table_equal(&one, &other), "counts do not matter");
    key_table_set(&other, "a", 2);
    CHECK(!key_table_equal(&one, &other), "revisions do not matter");
    key_table_set(&other, "a", 1);
    CHECK(key_table_equal(&one, &other), "equal ones differ");
    key_table_remove(&other, "a");
    key_table_set(&other, "b", 1);
    CHECK(!key_table_equal(&one, &other), "names do not matter");
    return 0;
}
