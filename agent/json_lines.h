/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A stream of JSON documents, one a line, as podman sends events and the progress of a pull, cut anywhere by the network.
 */

#include <cjson/cJSON.h>
#include <stddef.h>

#include "base/text.h"

struct json_lines {
    void (*on_line)(void *context, const cJSON *line); /**< the document is borrowed for the call */
    void *context;
    size_t line_max;            /**< a longer line ends the stream */
    struct text_buffer partial; /**< what came of the current line */
};

/** Returns 0, or -1 when a line is too long. A line that is not JSON is passed over. */
int json_lines_feed(struct json_lines *lines, const char *data, size_t size);
/** The stream has ended: what came of a last line without a line feed is taken as one. */
void json_lines_end(struct json_lines *lines);
void json_lines_clear(struct json_lines *lines);
