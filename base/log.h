/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Levelled, structured logging on stderr: "key=value" lines on a pipe, coloured short lines on a terminal.
 * FLEET_LOG=debug|info|warning|error sets the threshold (default info). Libraries log at debug only; a program logs a
 * failure once, where it handles it. One write(2) a line, so lines of several threads and processes do not mix.
 *
 *   log_info("desired state applied", LOG_TEXT("deployment", name), LOG_INTEGER("revision", revision));
 */

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

struct log_field {
    const char *key;
    const char *text; /**< NULL: `integer` is the value */
    int64_t integer;
};
#define LOG_TEXT(key_, value_)    ((struct log_field){.key = (key_), .text = (value_) ? (value_) : "-"})
#define LOG_INTEGER(key_, value_) ((struct log_field){.key = (key_), .integer = (int64_t)(value_)})

/** Read FLEET_LOG and name the program (shown in every line; borrowed). An unknown level is reported and info used. */
void log_start(const char *program);
/** Change the threshold. */
void log_set_level(enum log_level level);
enum log_level log_level(void);

/** One line. `fields[0]` is ignored (it lets the macros pass none); `count` includes it. */
void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count);
/** One line at `level` whose field "error" is the whole chain of *err and "code" its domain and code name. */
void log_error_object(enum log_level level, const char *message, const struct error *err,
                      const struct log_field *fields, size_t count);

/** Render one line into `out` as log_write would print it (no colour), for tests and for collectors. */
void log_render(FILE *out, enum log_level level, const char *message, const struct log_field *fields, size_t count);

#define LOG_FIELDS_(...)                                                                                               \
    ((const struct log_field[]){{0}, ##__VA_ARGS__}),                                                                  \
        (sizeof((const struct log_field[]){{0}, ##__VA_ARGS__}) / sizeof(struct log_field))
#define log_debug(message, ...)   log_write(LOG_LEVEL_DEBUG, (message), LOG_FIELDS_(__VA_ARGS__))
#define log_info(message, ...)    log_write(LOG_LEVEL_INFO, (message), LOG_FIELDS_(__VA_ARGS__))
#define log_warning(message, ...) log_write(LOG_LEVEL_WARNING, (message), LOG_FIELDS_(__VA_ARGS__))
#define log_error(message, ...)   log_write(LOG_LEVEL_ERROR, (message), LOG_FIELDS_(__VA_ARGS__))
/** Log a failure once, where it is handled. */
#define log_failure(message, err, ...) log_error_object(LOG_LEVEL_ERROR, (message), (err), LOG_FIELDS_(__VA_ARGS__))
#define log_trouble(message, err, ...) log_error_object(LOG_LEVEL_WARNING, (message), (err), LOG_FIELDS_(__VA_ARGS__))
