/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "messaging/connection.h"

#define EXIT_USAGE    2
#define RUNS_MAX      1000
#define DEVICES_MAX   100000
#define IDLE_MAX_S    86400
#define IDLE_VARIABLE "FLEET_BENCH_IDLE_S"

struct arguments {
    bool cold;
    bool *chosen; /**< by group; owned */
    bool any_chosen;
    bool help;
};

static void arguments_clear_at_exit(struct arguments *arguments)
{
    free(arguments->chosen);
}
#define cleanup_arguments __attribute__((cleanup(arguments_clear_at_exit)))

static bool has_cold(const struct bench_suite *suite)
{
    for (size_t i = 0; i < suite->group_count; i++) {
        if (suite->groups[i].is_cold)
            return true;
    }
    return false;
}

static void print_help(const struct bench_suite *suite)
{
    printf("usage: %s [OPTION…] [GROUP…]\n", suite->program);
    printf("%s\n", suite->text);
    printf(
        "Without groups all are measured%s. Figures go to stdout, one a line: name<TAB>value<TAB>unit; progress goes\n"
        "to stderr.\n\ngroups:\n",
        has_cold(suite) ? " but the cold ones" : "");
    for (size_t i = 0; i < suite->group_count; i++)
        printf("  %-14s %s%s\n", suite->groups[i].name, suite->groups[i].text,
               suite->groups[i].is_cold ? " (cold)" : "");
    printf("\noptions:\n");
    if (suite->runs)
        printf("  --runs N       rounds of what takes seconds, of which the median is printed, 1 to %d; default %d\n",
               RUNS_MAX, suite->runs);
    if (suite->devices)
        printf("  --devices N    how many are simulated in the group heartbeats, 1 to %d; default %d\n", DEVICES_MAX,
               suite->devices);
    if (has_cold(suite))
        printf("  --cold         the cold groups, too\n");
    printf("  --help         this text\n\nenvironment:\n");
    if (suite->idle_s)
        printf("  " IDLE_VARIABLE "  seconds for which what idles is watched, 1 to %d; default %d\n", IDLE_MAX_S,
               suite->idle_s);
    printf("  FLEET_LOG           what is logged to stderr; default warning\n"
           "\nexit codes: 0 measured, 1 broke off or left something behind, 2 wrong usage\n");
}

/** What getopt(3) has not said itself. */
static int refuse(const struct bench_suite *suite, const char *what, const char *value, const char *why)
{
    fprintf(stderr, "%s: %s \"%s\": %s\n", suite->program, what, value, why);
    return -1;
}

static int parse_number(const struct bench_suite *suite, const char *what, const char *text, long maximum, int *ret)
{
    char *end = NULL;

    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end || number < 1 || number > maximum) {
        cleanup_free char *why = text_format("it must be a whole number from 1 to %ld", maximum);
        return refuse(suite, what, text, why);
    }
    *ret = (int)number;
    return 0;
}

static int choose(const struct bench_suite *suite, const char *name, struct arguments *arguments)
{
    cleanup_text_buffer struct text_buffer why = {0};

    text_buffer_add(&why, "there is no such group; there are");
    for (size_t i = 0; i < suite->group_count; i++) {
        if (text_equal(suite->groups[i].name, name)) {
            arguments->chosen[i] = true;
            arguments->any_chosen = true;
            return 0;
        }
        text_buffer_format(&why, " %s", suite->groups[i].name);
    }
    return refuse(suite, "group", name, text_buffer_text(&why));
}

static int take_option(const struct bench_suite *suite, int letter, struct arguments *arguments, struct bench *bench)
{
    switch (letter) {
    case 'h':
        arguments->help = true;
        return 0;
    case 'c':
        arguments->cold = true;
        return 0;
    case 'r':
        return parse_number(suite, "--runs", optarg, RUNS_MAX, &bench->runs);
    case 'd':
        return parse_number(suite, "--devices", optarg, DEVICES_MAX, &bench->devices);
    default: /* getopt has said why */
        return -1;
    }
}

static int parse(const struct bench_suite *suite, int argc, char **argv, struct arguments *arguments,
                 struct bench *bench)
{
    struct option options[5] = {{"help", no_argument, NULL, 'h'}};
    size_t count = 1;
    int letter;

    if (suite->runs)
        options[count++] = (struct option){"runs", required_argument, NULL, 'r'};
    if (suite->devices)
        options[count++] = (struct option){"devices", required_argument, NULL, 'd'};
    if (has_cold(suite))
        options[count] = (struct option){"cold", no_argument, NULL, 'c'};
    while ((letter = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        if (take_option(suite, letter, arguments, bench) < 0)
            return -1;
    }
    for (int i = optind; i < argc; i++) {
        if (choose(suite, argv[i], arguments) < 0)
            return -1;
    }
    const char *idle = suite->idle_s ? getenv(IDLE_VARIABLE) : NULL;
    return idle ? parse_number(suite, IDLE_VARIABLE, idle, IDLE_MAX_S, &bench->idle_s) : 0;
}

static bool is_wanted(const struct bench_suite *suite, const struct arguments *arguments, size_t group)
{
    bool is_cold = suite->groups[group].is_cold;

    if (is_cold && arguments->cold)
        return true;
    return arguments->any_chosen ? arguments->chosen[group] : !is_cold;
}

static int measure_all(const struct bench_suite *suite, const struct arguments *arguments, struct bench *bench,
                       struct error *err)
{
    if (suite->begin && suite->begin(bench, err) < 0)
        return -1;
    for (size_t i = 0; i < suite->group_count; i++) {
        if (!is_wanted(suite, arguments, i))
            continue;
        fprintf(stderr, "measuring %s …\n", suite->groups[i].name);
        if (suite->groups[i].measure(bench, err) < 0)
            return error_wrap(err, "measuring", suite->groups[i].name);
    }
    return 0;
}

/** Returns -1 when something is left. */
static int finish(const struct bench_suite *suite, struct bench *bench)
{
    cleanup_error struct error err = ERROR_INIT;

    if (suite->end)
        suite->end(bench);
    if (!bench->run || run_finish(bench->run, &err) == 0)
        return 0;
    log_failure("the run left something behind", &err);
    return -1;
}

int bench_run(struct bench *bench, struct error *err)
{
    const struct run_options options = {.label = bench->label};

    return bench->run ? 0 : run_start(&options, &bench->run, err);
}

int bench_main(const struct bench_suite *suite, int argc, char **argv)
{
    cleanup_arguments struct arguments arguments = {.chosen = NEW_ARRAY(bool, suite->group_count)};
    struct bench bench = {
        .label = suite->label, .runs = suite->runs, .devices = suite->devices, .idle_s = suite->idle_s};
    cleanup_error struct error err = ERROR_INIT;

    log_start(suite->program);
    if (!getenv("FLEET_LOG"))
        log_set_level(LOG_LEVEL_WARNING); /* progress is what a person wants to see beside the figures */
    if (parse(suite, argc, argv, &arguments, &bench) < 0) {
        fprintf(stderr, "Try %s --help.\n", suite->program);
        return EXIT_USAGE;
    }
    if (arguments.help) {
        print_help(suite);
        return EXIT_SUCCESS;
    }
    nats_library_start();
    int result = measure_all(suite, &arguments, &bench, &err);
    if (error_is_set(&err))
        log_failure("the benchmark broke off", &err);
    if (finish(suite, &bench) < 0)
        result = -1;
    nats_library_stop();
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
