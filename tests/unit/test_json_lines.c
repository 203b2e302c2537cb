/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/json_lines.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "harness/test.h"

static void note_line(void *context, const cJSON *line)
{
    cleanup_free char *text = json_print(line);

    text_buffer_format(context, "%s|", text);
}

FLEET_TEST(json_lines, may_be_cut_anywhere)
{
    static const char stream[] = "{\"a\":1}\n\nnot json\n{\"b\":\"x\\ny\"}\n[3]";

    for (size_t piece = 1; piece <= sizeof(stream); piece++) {
        cleanup_text_buffer struct text_buffer seen = {0};
        struct json_lines lines = {.on_line = note_line, .context = &seen, .line_max = 100};
        for (size_t at = 0; at < strlen(stream); at += piece) {
            size_t left = strlen(stream) - at;
            CHECK(json_lines_feed(&lines, stream + at, left < piece ? left : piece) == 0, "refused at %zu", at);
        }
        CHECK(strcmp(text_buffer_text(&seen), "{\"a\":1}|{\"b\":\"x\\ny\"}|") == 0, "pieces of %zu: %s", piece,
              text_buffer_text(&seen));
        json_lines_end(&lines);
        CHECK(strcmp(text_buffer_text(&seen), "{\"a\":1}|{\"b\":\"x\\ny\"}|[3]|") == 0, "the end: %s",
              text_buffer_text(&seen));
        json_lines_clear(&lines);
    }
    return 0;
}

FLEET_TEST(json_lines, a_line_has_a_limit)
{
    cleanup_text_buffer struct text_buffer seen = {0};
    struct json_lines lines = {.on_line = note_line, .context = &seen, .line_max = 8};

    bool fits = json_lines_feed(&lines, "[1,2,34]\n", 9) == 0;
    bool refused = json_lines_feed(&lines, "[1,2,345]\n", 10) < 0;
    json_lines_clear(&lines);
    CHECK(fits, "eight bytes do not fit");
    CHECK(refused, "nine bytes fit");
    return 0;
}
