/* SPDX-License-Identifier: Apache-2.0 */
#define ERROR_IMPLEMENTATION
#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

static const char *system_code_name(int code)
{
    const char *name = strerrorname_np(code);
    return name ? name : "unknown";
}
const struct error_domain system_error_domain = {"system", system_code_name};

static const char *general_code_name(int code)
{
    switch ((enum general_error)code) {
    case GENERAL_INVALID:
        return "invalid";
    case GENERAL_NOT_FOUND:
        return "not-found";
    case GENERAL_TIMEOUT:
        return "timeout";
    case GENERAL_CANCELLED:
        return "cancelled";
    case GENERAL_TOO_LARGE:
        return "too-large";
    case GENERAL_CONFLICT:
        return "conflict";
    case GENERAL_UNSUPPORTED:
        return "unsupported";
    case GENERAL_FAILED:
        return "failed";
    }
    return "unknown";
}
const struct error_domain general_error_domain = {"general", general_code_name};

void close_fd(int fd)
{
    int saved_errno = errno;

    if (fd >= 0)
        close(fd);
    errno = saved_errno;
}

bool error_is(const struct error *err, const struct error_domain *domain, int code)
{
    return err->domain == domain && err->code == code;
}

int error_set(struct error *err, const struct error_domain *domain, int code, const char *operation,
              const char *subject, const char *detail_format, ...)
{
    va_list arguments;

    assert(!error_is_set(err));
    va_start(arguments, detail_format);
    *err = (struct error){
        .domain = domain,
        .code = code,
        .operation = text_copy(operation),
        .subject = text_copy(subject),
        .detail = text_format_v(detail_format, arguments),
    };
    va_end(arguments);
    return -1;
}

int error_set_errno(struct error *err, int errno_value, const char *operation, const char *subject)
{
    return error_set(err, &system_error_domain, errno_value, operation, subject, "%s", strerror(errno_value));
}

int error_wrap(struct error *err, const char *operation, const char *subject)
{
    assert(error_is_set(err));
    struct error *cause = NEW(struct error);

    *cause = *err;
    *err = (struct error){
        .domain = cause->domain,
        .code = cause->code,
        .operation = text_copy(operation),
        .subject = text_copy(subject),
        .cause = cause,
    };
    return -1;
}

char *error_text(const struct error *err)
{
    struct text_buffer text = {0};

    for (const struct error *frame = err; frame; frame = frame->cause) {
        if (!error_is_set(frame))
            break;
        if (text.size)
            text_buffer_add(&text, ": ");
        text_buffer_add(&text, frame->operation);
        if (frame->subject)
            text_buffer_format(&text, " %s", frame->subject);
        if (frame->detail)
            text_buffer_format(&text, ": %s", frame->detail);
    }
    return text_buffer_take(&text);
}

const char *error_root_detail(const struct error *err)
{
    while (err->cause)
        err = err->cause;
    return err->detail ? err->detail : "";
}

void error_move(struct error *to, struct error *from)
{
    assert(!error_is_set(to));
    *to = *from;
    *from = ERROR_INIT;
}

void error_clear(struct error *err)
{
    int saved_errno = errno;
    struct error *frame = err->cause;

    free(err->operation);
    free(err->subject);
    free(err->detail);
    while (frame) {
        struct error *next = frame->cause;
        free(frame->operation);
        free(frame->subject);
        free(frame->detail);
        free(frame);
        frame = next;
    }
    *err = ERROR_INIT;
    errno = saved_errno;
}
