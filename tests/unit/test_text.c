/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <string.h>

#include "harness/test.h"

FLEET_TEST(text, formats_any_length)
{
    cleanup_free char *empty = text_format("%s", "");
    cleanup_free char *wide = text_format("%-100000s|%d", "x", 7);

    CHECK(*empty == '\0', "it is %s", empty);
    CHECK(strlen(wide) == 100002 && text_ends_with(wide, " |7"), "it has %zu bytes", strlen(wide));
    return 0;
}

FLEET_TEST(text, copies)
{
    cleanup_free char *whole = text_copy("abc");
    cleanup_free char *part = text_copy_n("abc", 2);
    cleanup_free char *none = text_copy_n(NULL, 0);

    CHECK(text_equal(whole, "abc"), "whole is %s", whole);
    CHECK(text_equal(part, "ab"), "part is %s", part);
    CHECK(text_equal(none, ""), "none is %s", none);
    CHECK(text_copy(NULL) == NULL, "NULL has a copy");
    return 0;
}

FLEET_TEST(text, compares)
{
    CHECK(text_equal("a", "a") && !text_equal("a", "b"), "texts compare wrongly");
    CHECK(text_equal(NULL, NULL) && !text_equal(NULL, "") && !text_equal("", NULL), "NULL equals only NULL");
    CHECK(text_starts_with("abc", "ab") && text_starts_with("abc", "") && !text_starts_with("ab", "abc"), "prefix");
    CHECK(text_ends_with("abc", "bc") && text_ends_with("abc", "") && !text_ends_with("bc", "abc"), "suffix");
    return 0;
}

FLEET_TEST(text, random_hex_differs)
{
    char first[33];
    char second[33];
    char smallest[1] = "x";

    text_random_hex(first, sizeof(first));
    text_random_hex(second, sizeof(second));
    text_random_hex(smallest, sizeof(smallest));
    CHECK(strlen(first) == 32 && strspn(first, "0123456789abcdef") == 32, "it is %s", first);
    CHECK(!text_equal(first, second), "twice %s", first);
    CHECK(*smallest == '\0', "it is not terminated");
    return 0;
}

FLEET_TEST(text, knows_utf8)
{
    static const struct {
        const char *data;
        size_t length;
    } samples[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xee\x80\x80", 3},
        {"\xef\xbf\xbf", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\x80", 0},             /* a continuation alone */
        {"\xc0\x80", 0},         /* overlong */
        {"\xc1\xbf", 0},         /* overlong */
        {"\xe0\x9f\xbf", 0},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
        {"\xed\xa0\x80", 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0}, /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
        {"\xc2", 0}, /* cut off */
        {"\xe2\x82", 0},
        {"\xf0\x9f\x98", 0},
        {"\xe2\x28\xa1", 0},
        {"\xf0\x9f\x28\x80", 0},
        {"\xf0\x9f\x98\x28", 0},
        {"", 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        size_t size = strlen(samples[i].data);
        size_t length = text_utf8_character(samples[i].data, size);
        CHECK(length == samples[i].length, "sample %zu has length %zu", i, length);
        CHECK(text_is_utf8(samples[i].data, size) == (length == size), "sample %zu", i);
    }
    CHECK(text_is_utf8("a\0b", 3), "a NUL is a character");
    return 0;
}

FLEET_TEST(text, escapes_what_cannot_be_shown)
{
    cleanup_text_buffer struct text_buffer buffer = {0};
    static const char data[] = "a\"b\\c\nd\te\rf\x1b[31m\x7f\xc3\xbc\xc2\x9b\xff\0\xf0\x9f\x98\x80";

    text_buffer_escape(&buffer, data, sizeof(data) - 1);
    CHECK(text_equal(text_buffer_text(&buffer), "a\\\"b\\\\c\\nd\\te\\rf\\x1b[31m\\x7f\xc3\xbc\\xc2\\x9b\\xff\\x00"
                                                "\xf0\x9f\x98\x80"),
          "it is %s", text_buffer_text(&buffer));
    return 0;
}

FLEET_TEST(text, replaces_what_is_not_utf8)
{
    cleanup_free char *clean = text_to_utf8("a\xff\xc3\xbc\xe2\x82", 6);
    cleanup_free char *empty = text_to_utf8("", 0);

    CHECK(text_equal(clean, "a\xef\xbf\xbd\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd"), "it is %s", clean);
    CHECK(text_equal(empty, ""), "it is %s", empty);
    return 0;
}

FLEET_TEST(text, knows_control_characters)
{
    CHECK(!text_has_control("") && !text_has_control("a \xc3\xbc~"), "text has none");
    CHECK(text_has_control("a\n") && text_has_control("\x7f") && text_has_control("\x1f"), "one was overlooked");
    return 0;
}

FLEET_TEST(text, quotes)
{
    cleanup_text_buffer struct text_buffer quoted = {0};

    text_buffer_add(&quoted, "x = ");
    text_buffer_quote(&quoted, "a \"b\" \\ \xff");
    CHECK(text_equal(quoted.data, "x = \"a \\\"b\\\" \\\\ \xff\""), "it is %s", quoted.data);
    return 0;
}

FLEET_TEST(text, buffer_grows_and_gives_itself_away)
{
    struct text_buffer buffer = {0};

    CHECK(text_equal(text_buffer_text(&buffer), ""), "an empty buffer has text");
    cleanup_free char *nothing = text_buffer_take(&buffer);
    CHECK(text_equal(nothing, ""), "an empty buffer gives %s", nothing);
    for (int i = 0; i < 1000; i++)
        text_buffer_format(&buffer, "%03d,", i);
    text_buffer_add(&buffer, "end");
    text_buffer_append(&buffer, "ignored", 0);
    CHECK(buffer.size == 4003 && strlen(buffer.data) == 4003, "it has %zu bytes", buffer.size);
    cleanup_free char *taken = text_buffer_take(&buffer);
    CHECK(text_starts_with(taken, "000,001,") && text_ends_with(taken, "999,end"), "it is %s", taken);
    CHECK(buffer.data == NULL && buffer.size == 0 && buffer.capacity == 0, "something is left");
    text_buffer_clear(&buffer);
    text_buffer_clear(&buffer);
    return 0;
}

FLEET_TEST(text, list_is_an_argv)
{
    struct text_list list = {0};

    CHECK(list.items == NULL && !text_list_contains(&list, "a"), "an empty list has something");
    text_list_add(&list, "a");
    text_list_format(&list, "%d", 7);
    text_list_take(&list, text_copy("b"));
    CHECK(list.count == 3 && list.items[3] == NULL, "it has %zu items", list.count);
    CHECK(text_list_contains(&list, "7") && !text_list_contains(&list, "77"), "it does not hold 7");
    cleanup_free char *joined = text_list_join(&list, ", ");
    CHECK(text_equal(joined, "a, 7, b"), "joined: %s", joined);
    text_list_clear(&list);
    cleanup_free char *nothing = text_list_join(&list, ", ");
    CHECK(text_equal(nothing, ""), "nothing joined: %s", nothing);
    CHECK(list.items == NULL && list.count == 0, "something is left");
    text_list_clear(&list);
    return 0;
}
