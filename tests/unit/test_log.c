/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "harness/test.h"

/* The line without its time, as log_render gives it. Caller frees. */
static char *render(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    log_render(out, level, message, fields, count);
    fclose(out);
    const char *rest = strstr(text, " level=");
    char *line = text_copy(rest ? rest + 1 : text);
    free(text);
    return line;
}

/* stderr as a socket that keeps writes apart: each recv(2) gives one write(2). */
struct capture {
    int saved;
    int socket;
};

static int capture_start(struct capture *capture, struct error *err)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set_errno(err, errno, "creating a socket pair", NULL);
    capture->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(ends[1], STDERR_FILENO);
    close_fd(ends[1]);
    capture->socket = ends[0];
    return 0;
}

/* Give stderr back; what was written, one item a write. */
static void capture_end(struct capture *capture, struct text_list *ret)
{
    static char packet[1 << 16];
    ssize_t size;

    dup2(capture->saved, STDERR_FILENO);
    close_fd(capture->saved);
    while ((size = recv(capture->socket, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
        text_list_take(ret, text_copy_n(packet, (size_t)size));
    close_fd(capture->socket);
}

FLEET_TEST(log, renders_keys_and_values)
{
    const struct log_field fields[] = {{0}, LOG_TEXT("deployment", "web-1"), LOG_INTEGER("revision", INT64_MIN)};

    log_start("agent");
    cleanup_free char *line = render(LOG_LEVEL_INFO, "applied", fields, ARRAY_SIZE(fields));
    CHECK(text_equal(line, "level=info program=agent msg=applied deployment=web-1 revision=-9223372036854775808\n"),
          "line is %s", line);
    return 0;
}

FLEET_TEST(log, begins_with_the_time)
{
    const struct log_field fields[] = {{0}};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    log_render(out, LOG_LEVEL_DEBUG, "x", fields, 1);
    fclose(out);
    cleanup_free char *line = text;
    CHECK(text_starts_with(line, "time=2") && text_starts_with(line + 28, "Z level=debug "), "line is %s", line);
    return 0;
}

FLEET_TEST(log, quotes_what_could_be_misread)
{
    static const struct {
        const char *value;
        const char *expected;
    } samples[] = {
        {"plain", "plain"},
        {"/run/podman.sock", "/run/podman.sock"},
        {"nats://127.0.0.1:4222", "nats://127.0.0.1:4222"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"x\nlevel=error msg=forged", "\"x\\nlevel=error msg=forged\""},
        {"\r\t", "\"\\r\\t\""},
        {"\x1b[2J", "\"\\x1b[2J\""},
        {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
        {"\xff\xfe", "\"\\xff\\xfe\""},
        {NULL, "-"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        const struct log_field fields[] = {{0}, LOG_TEXT("key", samples[i].value)};
        cleanup_free char *line = render(LOG_LEVEL_INFO, "m", fields, ARRAY_SIZE(fields));
        cleanup_free char *expected = text_format("level=info program=- msg=m key=%s\n", samples[i].expected);
        CHECK(text_equal(line, expected), "line %zu is %s", i, line);
    }
    return 0;
}

FLEET_TEST(log, writes_a_line_with_one_write)
{
    cleanup_text_list struct text_list writes = {0};
    cleanup_free char *long_text = text_format("%-20000s|", "x");
    struct capture capture;

    log_start("test");
    TRY(capture_start(&capture, err));
    errno = EPROTO;
    log_info("first");
    int errno_after = errno;
    log_error("second", LOG_TEXT("long", long_text), LOG_INTEGER("n", 1));
    capture_end(&capture, &writes);
    CHECK(errno_after == EPROTO, "errno became %d", errno_after);
    CHECK(writes.count == 2, "%zu writes", writes.count);
    CHECK(text_ends_with(writes.items[0], " level=info program=test msg=first\n"), "line is %s", writes.items[0]);
    CHECK(strlen(writes.items[1]) > 20000 && text_ends_with(writes.items[1], "|\" n=1\n"), "the long line was cut");
    return 0;
}

FLEET_TEST(log, keeps_to_the_threshold)
{
    static const struct {
        const char *setting;
        enum log_level level;
        size_t lines;
    } samples[] = {
        {"debug", LOG_LEVEL_DEBUG, 4}, {"info", LOG_LEVEL_INFO, 3}, {"warning", LOG_LEVEL_WARNING, 2},
        {"error", LOG_LEVEL_ERROR, 1}, {NULL, LOG_LEVEL_INFO, 3},   {"", LOG_LEVEL_INFO, 3},
    };

    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        cleanup_text_list struct text_list writes = {0};
        struct capture capture;
        if (samples[i].setting)
            setenv("FLEET_LOG", samples[i].setting, 1);
        else
            unsetenv("FLEET_LOG");
        TRY(capture_start(&capture, err));
        log_start("test");
        log_debug("d");
        log_info("i");
        log_warning("w");
        log_error("e");
        capture_end(&capture, &writes);
        CHECK(log_level() == samples[i].level, "level %zu is %d", i, log_level());
        CHECK(writes.count == samples[i].lines, "%zu lines at level %zu", writes.count, i);
    }
    return 0;
}

FLEET_TEST(log, reports_an_unknown_threshold)
{
    cleanup_text_list struct text_list writes = {0};
    struct capture capture;

    setenv("FLEET_LOG", "loud", 1);
    TRY(capture_start(&capture, err));
    log_start("test");
    capture_end(&capture, &writes);
    CHECK(log_level() == LOG_LEVEL_INFO, "the level is %d", log_level());
    CHECK(writes.count == 1 && strstr(writes.items[0], "level=warning") && strstr(writes.items[0], "FLEET_LOG=loud"),
          "there were %zu lines", writes.count);
    return 0;
}

FLEET_TEST(log, shows_the_whole_chain_of_an_error)
{
    cleanup_error struct error failure = ERROR_INIT;
    cleanup_text_list struct text_list writes = {0};
    struct capture capture;

    error_set_errno(&failure, EACCES, "writing", "config.toml");
    error_wrap(&failure, "deploying agent", "vm-00");
    log_start("test");
    TRY(capture_start(&capture, err));
    log_failure("deployment failed", &failure, LOG_TEXT("device", "vm-00"));
    log_trouble("deployment failed", &failure);
    log_set_level(LOG_LEVEL_ERROR);
    log_trouble("not shown", &failure);
    error_clear(&failure);
    log_failure("no reason", &failure);
    capture_end(&capture, &writes);
    CHECK(writes.count == 3, "%zu lines", writes.count);
    CHECK(text_ends_with(writes.items[0],
                         " level=error program=test msg=\"deployment failed\" device=vm-00 error=\"deploying agent "
                         "vm-00: writing config.toml: Permission denied\" code=system/EACCES\n"),
          "line is %s", writes.items[0]);
    CHECK(strstr(writes.items[1], " level=warning "), "line is %s", writes.items[1]);
    CHECK(text_ends_with(writes.items[2], " msg=\"no reason\" error=\"\" code=-\n"), "line is %s", writes.items[2]);
    return 0;
}

/* What log_info prints with `name` as stderr (a terminal). Caller frees *ret. */
static int log_to_terminal(char **ret, struct error *err)
{
    char text[1024];
    cleanup_close int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0)
        return error_set_errno(err, errno, "opening a terminal", NULL);
    cleanup_close int side = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    cleanup_close int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (side < 0 || saved < 0)
        return error_set_errno(err, errno, "opening a terminal", NULL);
    dup2(side, STDERR_FILENO);
    log_info("desired state \033[2J applied", LOG_TEXT("name", "two words"));
    dup2(saved, STDERR_FILENO);
    ssize_t size = read(terminal, text, sizeof(text));
    if (size < 0)
        return error_set_errno(err, errno, "reading the terminal", NULL);
    *ret = text_copy_n(text, (size_t)size);
    return 0;
}

FLEET_TEST(log, is_coloured_on_a_terminal)
{
    cleanup_free char *line = NULL;

    unsetenv("NO_COLOR");
    log_start("test");
    TRY(log_to_terminal(&line, err));
    CHECK(strlen(line) > 12 && line[2] == ':' && line[5] == ':' && line[8] == '.', "line is %s", line);
    CHECK(text_equal(line + 12, " \033[32minfo   \033[0m test: desired state \\x1b[2J applied name=\"two words\"\r\n"),
          "line is %s", line);
    return 0;
}

FLEET_TEST(log, honours_no_color)
{
    cleanup_free char *line = NULL;

    setenv("NO_COLOR", "1", 1);
    log_start("test");
    TRY(log_to_terminal(&line, err));
    CHECK(strchr(line, '\033') == NULL, "line is %s", line);
    return 0;
}

FLEET_TEST(log, survives_a_closed_reader)
{
    int ends[2];

    signal(SIGPIPE, SIG_IGN);
    CHECK(pipe(ends) == 0, "pipe: errno %d", errno);
    close_fd(ends[0]);
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(ends[1], STDERR_FILENO);
    log_error("nobody reads this");
    dup2(saved, STDERR_FILENO);
    close_fd(saved);
    close_fd(ends[1]);
    return 0;
}

enum { THREADS = 4, LINES = 50 };

static void *log_many(void *context)
{
    for (int i = 0; i < LINES; i++)
        log_info("from a thread", LOG_INTEGER("line", i));
    return context;
}

FLEET_TEST(log, keeps_lines_of_threads_apart)
{
    cleanup_text_list struct text_list writes = {0};
    struct capture capture;
    pthread_t threads[THREADS];

    log_start("test");
    TRY(capture_start(&capture, err));
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, log_many, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    capture_end(&capture, &writes);
    CHECK(writes.count == (size_t)THREADS * LINES, "%zu lines", writes.count);
    for (size_t i = 0; i < writes.count; i++)
        CHECK(strchr(writes.items[i], '\n') == writes.items[i] + strlen(writes.items[i]) - 1, "it is %s",
              writes.items[i]);
    return 0;
}
