/* SPDX-License-Identifier: Apache-2.0 */
#include "fixtures/node_port.h"

#include <string.h>

#include "harness/test.h"

#define FIRST 30423
#define LAST  30486
#define COUNT (LAST - FIRST + 1)

FLEET_TEST(node_port, attempts_go_through_all_of_the_range_once)
{
    static const struct node_port_range range = {.first = FIRST, .last = LAST};
    bool seen[COUNT] = {0};

    for (int attempt = 0; attempt < COUNT; attempt++) {
        int port = node_port_choose(&range, "e2e-1a2b3c4d", attempt);
        CHECK(port >= FIRST && port <= LAST, "attempt %d: %d", attempt, port);
        CHECK(!seen[port - FIRST], "attempt %d: %d again", attempt, port);
        seen[port - FIRST] = true;
    }
    CHECK(node_port_choose(&range, "e2e-1a2b3c4d", COUNT) == -1, "there are more ports than there are");
    return 0;
}

FLEET_TEST(node_port, used_ones_are_left_out)
{
    static const int used[] = {0, 80, FIRST + 1, FIRST, 32000};
    struct node_port_range range = {.first = FIRST, .last = FIRST + 2, .used = used, .used_count = ARRAY_SIZE(used)};

    CHECK(node_port_choose(&range, "any", 0) == FIRST + 2, "it is not the one that is free");
    CHECK(node_port_choose(&range, "any", 1) == -1, "another is free");
    range.last = FIRST + 1;
    CHECK(node_port_choose(&range, "any", 0) == -1, "one of two is free");
    return 0;
}

/* Two of eight runs that begin with the same port are a matter of chance, but not all of them. */
FLEET_TEST(node_port, runs_begin_with_different_ones)
{
    static const struct node_port_range range = {.first = FIRST, .last = LAST};
    static const char *const names[] = {"e2e-00000000", "e2e-00000001", "e2e-00000002", "e2e-00000003",
                                        "e2e-10000000", "e2e-20000000", "e2e-30000000", "e2e-ffffffff"};
    bool seen[COUNT] = {0};
    int different = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        int port = node_port_choose(&range, names[i], 0);
        CHECK(port == node_port_choose(&range, names[i], 0), "%s has no port of its own", names[i]);
        different += !seen[port - FIRST];
        seen[port - FIRST] = true;
    }
    CHECK(different >= 6, "eight runs begin with %d different ports", different);
    return 0;
}
