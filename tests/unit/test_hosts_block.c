/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/hosts_block.h"

#include <string.h>

#include "base/text.h"
#include "harness/test.h"

#define BEGIN HOSTS_BLOCK_BEGIN "\n"
#define END   HOSTS_BLOCK_END "\n"

static const struct hosts_entry entries[] = {{"192.168.122.1", "nats.fleet"}, {"fd00::1", "registry"}};
#define LINES "192.168.122.1\tnats.fleet\nfd00::1\tregistry\n"

static int replaced(const char *before, size_t count, const char *after, struct error *err)
{
    cleanup_free char *once = NULL;
    cleanup_free char *twice = NULL;
    size_t once_size;
    size_t twice_size;

    TRY(hosts_block_replace(before, strlen(before), entries, count, &once, &once_size, err));
    CHECK(text_equal(once, after) && once_size == strlen(after), "\"%s\" became \"%s\"", before, once);
    TRY(hosts_block_replace(once, once_size, entries, count, &twice, &twice_size, err));
    CHECK(text_equal(twice, once) && twice_size == once_size, "the second time it became \"%s\"", twice);
    return 0;
}

FLEET_TEST(hosts_block, only_our_lines_change)
{
    TRY(replaced("", 2, BEGIN LINES END, err));
    TRY(replaced("127.0.0.1 localhost\n", 2, "127.0.0.1 localhost\n" BEGIN LINES END, err));
    TRY(replaced("127.0.0.1 localhost", 2, "127.0.0.1 localhost\n" BEGIN LINES END, err));
    TRY(replaced("a\n" BEGIN "1.2.3.4 old\n" END " # END harmony-fleet\r\n\n\tb", 1,
                 "a\n" BEGIN "192.168.122.1\tnats.fleet\n" END " # END harmony-fleet\r\n\n\tb", err));
    TRY(replaced(BEGIN END "x\n" BEGIN "1.2.3.4 twice\n" HOSTS_BLOCK_END, 2, BEGIN LINES END "x\n", err));
    return 0;
}

FLEET_TEST(hosts_block, without_entries_there_is_none)
{
    TRY(replaced("", 0, "", err));
    TRY(replaced("127.0.0.1 localhost", 0, "127.0.0.1 localhost", err));
    TRY(replaced("a\n" BEGIN LINES END "b\n", 0, "a\nb\n", err));
    return 0;
}

FLEET_TEST(hosts_block, bytes_that_are_no_text_are_kept)
{
    static const char before[] = "a\0b\n\xff\n";
    cleanup_free char *after = NULL;
    size_t size;

    TRY(hosts_block_replace(before, sizeof(before) - 1, entries, 1, &after, &size, err));
    CHECK(size > sizeof(before) && memcmp(after, before, sizeof(before) - 1) == 0, "%zu bytes", size);
    return 0;
}

FLEET_TEST(hosts_block, one_without_an_end_is_left_alone)
{
    static const char before[] = BEGIN "192.168.122.1 nats.fleet\n10.0.0.1 somebody-elses\n";
    cleanup_free char *after = NULL;
    size_t size;

    CHECK_FAILS(hosts_block_replace(before, strlen(before), entries, 2, &after, &size, err), general_error_domain,
                GENERAL_CONFLICT);
    return 0;
}

FLEET_TEST(hosts_block, refuses_what_is_no_line_of_hosts)
{
    static const char long_label[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b";
    static const struct hosts_entry good[] = {{"10.0.0.1", "a"}, {"::1", "a-1.B.c"}, {"10.0.0.1", "1"}};
    static const struct hosts_entry bad[] = {
        {NULL, "a"},          {"", "a"},
        {"10.0.0", "a"},      {"nats", "a"},
        {"10.0.0.1\n", "a"},  {"10.0.0.1", NULL},
        {"10.0.0.1", ""},     {"10.0.0.1", "."},
        {"10.0.0.1", "a..b"}, {"10.0.0.1", "a."},
        {"10.0.0.1", "a b"},  {"10.0.0.1", "a\n"},
        {"10.0.0.1", "-a"},   {"10.0.0.1", "a-.b"},
        {"10.0.0.1", "a_b"},  {"10.0.0.1", long_label},
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        TRY(hosts_entry_check(&good[i], err));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_FAILS(hosts_entry_check(&bad[i], err), general_error_domain, GENERAL_INVALID);
    return 0;
}
