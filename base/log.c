/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/memory.h"
#include "base/text.h"

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic(const char *) program_name;

static const struct {
    const char *name;
    const char *colour; /* SGR sequence on a terminal */
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"debug", "\033[2m"},
    [LOG_LEVEL_INFO] = {"info", "\033[32m"},
    [LOG_LEVEL_WARNING] = {"warning", "\033[33m"},
    [LOG_LEVEL_ERROR] = {"error", "\033[1;31m"},
};

static bool needs_quotes(const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:@%+,;#*!?&$()[]{}<>|";

    return *value == '\0' || value[strspn(value, plain)] != '\0';
}

static void add_value(struct text_buffer *line, const char *value)
{
    if (!needs_quotes(value)) {
        text_buffer_add(line, value);
        return;
    }
    text_buffer_add(line, "\"");
    text_buffer_escape(line, value, strlen(value));
    text_buffer_add(line, "\"");
}

static void add_fields(struct text_buffer *line, const struct log_field *fields, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        text_buffer_format(line, " %s=", fields[i].key);
        if (fields[i].text)
            add_value(line, fields[i].text);
        else
            text_buffer_format(line, "%lld", (long long)fields[i].integer);
    }
    text_buffer_add(line, "\n");
}

static void render_structured(struct text_buffer *line, enum log_level level, const char *message,
                              const struct log_field *fields, size_t count)
{
    const char *program = atomic_load(&program_name);
    char time[RFC3339_SIZE];

    clock_rfc3339(time);
    text_buffer_format(line, "time=%s level=%s program=", time, levels[level].name);
    add_value(line, program ? program : "-");
    text_buffer_add(line, " msg=");
    add_value(line, message);
    add_fields(line, fields, count);
}

/* For a person at a terminal: time of day only, the message unquoted. Colour honours https://no-color.org. */
static void render_for_terminal(struct text_buffer *line, enum log_level level, const char *message,
                                const struct log_field *fields, size_t count)
{
    const char *program = atomic_load(&program_name);
    const char *no_colour = getenv("NO_COLOR");
    bool coloured = !no_colour || *no_colour == '\0';
    char time[RFC3339_SIZE];

    clock_rfc3339(time);
    text_buffer_append(line, time + strlen("2026-11-21T"), strlen("03:00:00.000"));
    text_buffer_format(line, " %s%-7s%s ", coloured ? levels[level].colour : "", levels[level].name,
                       coloured ? "\033[0m" : "");
    if (program)
        text_buffer_format(line, "%s: ", program);
    text_buffer_escape(line, message, strlen(message));
    add_fields(line, fields, count);
}

/* A log that cannot be written must not stop the program: what is left of the line is dropped. */
static void write_line(const struct text_buffer *line)
{
    for (size_t done = 0; done < line->size;) {
        ssize_t written = write(STDERR_FILENO, line->data + done, line->size - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        done += (size_t)written;
    }
}

static bool level_from_name(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
        if (strcmp(levels[i].name, name) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_start(const char *program)
{
    const char *name = getenv("FLEET_LOG");
    enum log_level level = LOG_LEVEL_INFO;
    bool known = !name || *name == '\0' || level_from_name(name, &level);

    atomic_store(&program_name, program);
    log_set_level(level);
    if (!known)
        log_warning("FLEET_LOG is none of debug, info, warning, error; using info", LOG_TEXT("FLEET_LOG", name));
}

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load(&threshold);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    int saved_errno = errno;
    cleanup_text_buffer struct text_buffer line = {0};

    if (level < log_level())
        return;
    if (isatty(STDERR_FILENO))
        render_for_terminal(&line, level, message, fields, count);
    else
        render_structured(&line, level, message, fields, count);
    write_line(&line);
    errno = saved_errno;
}

void log_error_object(enum log_level level, const char *message, const struct error *err,
                      const struct log_field *fields, size_t count)
{
    if (level < log_level())
        return;
    cleanup_free char *chain = error_text(err);
    cleanup_free char *code =
        error_is_set(err) ? text_format("%s/%s", err->domain->name, err->domain->code_name(err->code)) : NULL;
    cleanup_free struct log_field *all = NEW_ARRAY(struct log_field, count + 2);

    memcpy(all, fields, count * sizeof(*all));
    all[count] = LOG_TEXT("error", chain);
    all[count + 1] = LOG_TEXT("code", code);
    log_write(level, message, all, count + 2);
}

void log_render(FILE *out, enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    cleanup_text_buffer struct text_buffer line = {0};

    render_structured(&line, level, message, fields, count);
    fwrite(line.data, 1, line.size, out);
}
