/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/log_tail.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

static int tail_of(struct test_context *test, const char *data, size_t size, char **ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/some.log", test->artefacts);

    TRY(file_write_atomic(path, data, size, 0600, err));
    *ret = log_tail(path);
    return 0;
}

FLEET_TEST(log_tail, is_the_last_twenty_lines)
{
    cleanup_text_buffer struct text_buffer text = {0};
    cleanup_free char *few = NULL;
    cleanup_free char *many = NULL;

    TRY(tail_of(test, "one\ntwo\n", 8, &few, err));
    CHECK(text_equal(few, "one\ntwo"), "%s", few);
    for (int i = 1; i <= 30; i++)
        text_buffer_format(&text, "line %d\n", i);
    TRY(tail_of(test, text.data, text.size, &many, err));
    CHECK(text_starts_with(many, "line 11\n") && text_ends_with(many, "\nline 30"), "%s", many);
    return 0;
}

FLEET_TEST(log_tail, is_bounded_whatever_the_log_holds)
{
    cleanup_text_buffer struct text_buffer text = {0};
    cleanup_free char *tail = NULL;

    for (int i = 0; i < 1000; i++)
        text_buffer_add(&text, "no line ends here ");
    TRY(tail_of(test, text.data, text.size, &tail, err));
    CHECK(strlen(tail) == 4096, "%zu bytes", strlen(tail));
    return 0;
}

FLEET_TEST(log_tail, says_what_is_not_there)
{
    cleanup_free char *missing = log_tail("/nonexistent/some.log");
    cleanup_free char *empty = NULL;

    CHECK(strstr(missing, "No such file"), "%s", missing);
    TRY(tail_of(test, "\n\n", 2, &empty, err));
    CHECK(text_equal(empty, "(empty)"), "%s", empty);
    return 0;
}
