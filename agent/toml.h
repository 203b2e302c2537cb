/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * TOML as a small C tree with line numbers. The parser is toml++ (C++, there is no C library for TOML in Debian);
 * agent/toml.cc is the one C++ file and shows nothing of it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_type {
    TOML_TABLE,
    TOML_ARRAY,
    TOML_STRING,
    TOML_INTEGER,
    TOML_FLOAT,
    TOML_BOOLEAN,
    TOML_DATE_OR_TIME,
};

struct toml_node {
    enum toml_type type;
    int line;         /**< counts from 1 */
    char *key;        /**< in a table; NULL in an array and at the root */
    char *text;       /**< a string; may hold NUL bytes, `text_size` counts them */
    size_t text_size; /**< without the terminator */
    int64_t integer;
    double number; /**< of a float */
    bool boolean;
    struct toml_node *items; /**< of a table (sorted by key) or array */
    size_t count;
};

/**
 * Parse a document. Returns 0 and the root table (freed by toml_free), or -1 with the line and the parser's own words
 * for what is wrong (the caller frees *error_message). Nesting deeper than 16 is an error.
 */
int toml_parse(const char *data, size_t size, struct toml_node **ret, int *error_line, char **error_message);
/** NULL is fine. */
void toml_free(struct toml_node *root);

#ifdef __cplusplus
}
#endif
