/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "harness/phase_model.h"
#include "harness/report_text.h"

/*
 * On a terminal the innermost open phase is a moving line, redrawn by a ticker thread; what has ended stays above it,
 * indented. The cursor rests at the start of the moving line, so that a log line simply overwrites it. Elsewhere there
 * is no thread, and one line a finished phase.
 */

#define TICK_MS 100

struct phase_display {
    struct timeline *timeline;
    bool terminal, colour, unicode;
    bool ticking;
    bool stop; /**< asks the ticker to end; guarded by the timeline's lock */
    pthread_cond_t stopped;
    pthread_t ticker;
    unsigned int frame;
};

static const char erase_line[] = "\r\033[K";

/* One write(2): lines of several processes and threads do not mix. */
static void show(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored; /* nobody looks */
}

static bool locale_is_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

struct phase_display *phase_display_new(struct timeline *timeline)
{
    struct phase_display *display = NEW(struct phase_display);
    const char *terminal = getenv("TERM");

    display->timeline = timeline;
    display->terminal = isatty(STDERR_FILENO) && terminal && !text_equal(terminal, "dumb");
    display->colour = text_wants_colour(STDERR_FILENO);
    display->unicode = locale_is_unicode();
    return display;
}

/* The moving line */

static size_t terminal_columns(void)
{
    struct winsize size = {0};

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
        return 80;
    return size.ws_col;
}

/* Cut to `columns` code points, so that the moving line never wraps (a wrapped line could not be taken back). */
static void cut_columns(char *text, size_t columns)
{
    for (; *text; text++) {
        if (((unsigned char)*text & 0xc0) != 0x80 && columns-- == 0) {
            *text = '\0';
            return;
        }
    }
}

static void draw_moving_line(struct phase_display *display)
{
    static const char *const braille[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
    static const char *const plain[] = {"|", "/", "-", "\\"};
    const struct phase *phase = display->timeline->open;
    cleanup_text_buffer struct text_buffer line = {0};

    if (!phase)
        return;
    unsigned int frame = display->frame++;
    int64_t tenths = (timeline_now_us(display->timeline) - phase->begin_us) / 100000;
    cleanup_free char *text =
        text_format("%*s%s %s  %" PRId64 ".%" PRId64 " s", 2 * phase->depth, "",
                    display->unicode ? braille[frame % ARRAY_SIZE(braille)] : plain[frame % ARRAY_SIZE(plain)],
                    phase->name, tenths / 10, tenths % 10);
    cut_columns(text, terminal_columns() - 1);
    text_buffer_format(&line, "%s%s\r", erase_line, text);
    show(text_buffer_text(&line));
}

static void *tick(void *argument)
{
    struct phase_display *display = argument;
    struct timeline *timeline = display->timeline;

    pthread_mutex_lock(&timeline->lock);
    while (!display->stop) {
        struct timespec next;
        clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_nsec += TICK_MS * 1000000L;
        next.tv_sec += next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        if (pthread_cond_clockwait(&display->stopped, &timeline->lock, CLOCK_MONOTONIC, &next) == ETIMEDOUT)
            draw_moving_line(display);
    }
    pthread_mutex_unlock(&timeline->lock);
    return NULL;
}

static void start_ticking(struct phase_display *display)
{
    if (display->ticking)
        return;
    pthread_cond_init(&display->stopped, NULL);
    if (pthread_create(&display->ticker, NULL, tick, display) == 0)
        display->ticking = true;
    else
        pthread_cond_destroy(&display->stopped); /* the line moves at each phase only */
}

void phase_display_free(struct phase_display *display)
{
    if (!display)
        return;
    if (display->ticking) {
        pthread_mutex_lock(&display->timeline->lock);
        display->stop = true;
        pthread_cond_signal(&display->stopped);
        pthread_mutex_unlock(&display->timeline->lock);
        pthread_join(display->ticker, NULL);
        pthread_cond_destroy(&display->stopped);
        if (display->timeline->open)
            show(erase_line);
    }
    free(display);
}

/* Phases */

static const char *painted(const struct phase_display *display, const char *escape)
{
    return display->colour ? escape : "";
}

/* Headings of the phases around a nested one, so that what ends inside them reads as theirs. */
static void announce(struct phase_display *display, struct phase *phase, struct text_buffer *text)
{
    if (!phase || phase->announced)
        return;
    announce(display, phase->parent, text);
    text_buffer_format(text, "%s%*s%s %s%s%s\n", erase_line, 2 * phase->depth, "", display->unicode ? "▸" : ">",
                       painted(display, "\033[1m"), phase->name, painted(display, "\033[0m"));
    phase->announced = true;
}

void phase_display_begin(struct phase_display *display, struct phase *phase)
{
    cleanup_text_buffer struct text_buffer text = {0};

    if (!display->terminal)
        return;
    announce(display, phase->parent, &text);
    show(text_buffer_text(&text));
    start_ticking(display);
    draw_moving_line(display);
}

/* An error is told once, at the innermost phase it ended. */
static const char *own_failure(const struct phase *phase)
{
    for (const struct phase *child = phase->first_child; child; child = child->next) {
        if (child->failure && text_equal(child->failure, phase->failure))
            return "";
    }
    return phase->failure;
}

static void end_on_terminal(struct phase_display *display, const struct phase *phase, struct text_buffer *text)
{
    const char *good = display->unicode ? "✔" : "+";
    const char *bad = display->unicode ? "✘" : "x";
    cleanup_free char *seconds = text_seconds(phase->duration_us);
    size_t indent = 2 * (size_t)phase->depth;

    text_buffer_format(text, "%s%*s%s%s%s ", erase_line, (int)indent, "",
                       painted(display, phase->failure ? "\033[31m" : "\033[32m"), phase->failure ? bad : good,
                       painted(display, "\033[0m"));
    text_pad_right(text, phase->name, indent < 36 ? 36 - indent : 0);
    text_buffer_add(text, painted(display, "\033[2m"));
    text_pad_left(text, seconds, 10);
    text_buffer_format(text, "%s", painted(display, "\033[0m"));
    if (phase->failure)
        text_buffer_format(text, "  %sfailed%s %s", painted(display, "\033[31m"), painted(display, "\033[0m"),
                           own_failure(phase));
    text_buffer_add(text, "\n");
}

static void end_on_pipe(const struct phase *phase, struct text_buffer *text)
{
    cleanup_free char *path = phase_path(phase);
    cleanup_free char *seconds = text_seconds(phase->duration_us);

    text_buffer_add(text, "[e2e] ");
    text_pad_left(text, seconds, 9);
    text_buffer_format(text, "  %s", path);
    if (phase->failure)
        text_buffer_format(text, "  failed%s%s", *own_failure(phase) ? ": " : "", own_failure(phase));
    text_buffer_add(text, "\n");
}

void phase_display_end(struct phase_display *display, struct phase *phase)
{
    cleanup_text_buffer struct text_buffer text = {0};

    if (display->terminal)
        end_on_terminal(display, phase, &text);
    else
        end_on_pipe(phase, &text);
    show(text_buffer_text(&text));
    if (display->terminal)
        draw_moving_line(display);
}
