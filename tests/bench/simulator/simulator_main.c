/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/memory.h"
#include "messaging/connection.h"
#include "tests/bench/simulator/simulator.h"

#define PROGRAM      "fleet-simulator"
#define SUFFIX_BYTES 9
#define WITHDRAW_MS  60000
#define STACK_BYTES  (256 << 10) /* nats.c reconnects each connection in a thread of its own */
#define MAX_MS       86400000

static const char help[] =
    "Usage: " PROGRAM " [options]\n"
    "Simulate devices on the real wire: each writes device-info and heartbeats, watches its desired states, claims\n"
    "to run what they ask for, and answers pings. Until SIGTERM or SIGINT, which make it remove its keys.\n"
    "\n"
    "  --nats-url URL              default nats://127.0.0.1:4222\n"
    "  --nats-user NAME            user; none by default\n"
    "  --nats-password-file PATH   its password: first line of a file that only its owner may read\n"
    "  --devices N                 how many; default 100, at most 100000\n"
    "  --connections M             share M connections; default: one each (as real devices have)\n"
    "  --prefix TEXT               device ids are TEXT-<5 digits>-<suffix>; default \"sim\"\n"
    "  --suffix TEXT               default: 8 random hex digits\n"
    "  --heartbeat-ms N            each device's interval; default 30000, as the agent's\n"
    "  --delay-ms N                desired state seen to Running reported, with Pending meanwhile; default 0: at once\n"
    "  --failed-percent N          of the devices that report Failed instead; default 0\n"
    "  --label KEY=VALUE           of every device, again and again; each has \"simulator\" (the suffix) and "
    "\"group\"\n"
    "                              (g0 to g9, by its number's last digit) anyhow\n"
    "  --report-ms N               how often a report is printed, when anything was written; default 5000\n"
    "  --help                      this text\n"
    "  --version                   the version\n"
    "\n"
    "Prints one JSON object a line: \"connecting\", \"ready\" once every device is up, \"report\"s, and \"ended\". "
    "Latencies\n"
    "are in microseconds, known to an eighth. Logs go to stderr (FLEET_LOG).\n"
    "Exit codes: 0 ended by a signal, 1 could not go on, 64 wrong usage.\n";

struct arguments {
    struct simulator_options options;
    const char *user;
    const char *password_file;
    char suffix[SUFFIX_BYTES];
    struct device_label *labels; /* both texts borrowed from one owned in `label_texts` */
    struct text_list label_texts;
    bool shown; /* help or version: done */
};

static void arguments_clear(struct arguments *arguments)
{
    free(arguments->labels);
    text_list_clear(&arguments->label_texts);
}

static int refuse(const char *option, const char *value, const char *why)
{
    fprintf(stderr, PROGRAM ": --%s %s: %s\nTry " PROGRAM " --help.\n", option, value, why);
    return -1;
}

static int parse_number(const char *option, const char *text, long minimum, long maximum, int *ret)
{
    char *end = NULL;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end || number < minimum || number > maximum) {
        cleanup_free char *why = text_format("it must be a whole number from %ld to %ld", minimum, maximum);
        return refuse(option, text, why);
    }
    *ret = (int)number;
    return 0;
}

static int add_label(struct arguments *arguments, const char *text)
{
    size_t count = arguments->options.label_count;

    text_list_add(&arguments->label_texts, text);
    char *key = arguments->label_texts.items[count];
    char *equals = strchr(key, '=');
    if (!equals)
        return refuse("label", text, "it must be KEY=VALUE");
    *equals = '\0';
    arguments->labels = memory_resize(arguments->labels, count + 1, sizeof(*arguments->labels));
    arguments->labels[count] = (struct device_label){key, equals + 1};
    arguments->options.labels = arguments->labels;
    arguments->options.label_count = count + 1;
    return 0;
}

/** The options that are whole numbers. `field` is where in struct simulator_options. */
static const struct number_option {
    char letter;
    const char *name;
    size_t field;
    long minimum;
    long maximum;
} number_options[] = {
    {'n', "devices", offsetof(struct simulator_options, devices), 1, SIMULATOR_DEVICES_MAX},
    {'c', "connections", offsetof(struct simulator_options, connections), 1, SIMULATOR_DEVICES_MAX},
    {'b', "heartbeat-ms", offsetof(struct simulator_options, heartbeat_ms), 100, MAX_MS},
    {'d', "delay-ms", offsetof(struct simulator_options, delay_ms), 0, MAX_MS},
    {'f', "failed-percent", offsetof(struct simulator_options, failed_percent), 0, 100},
    {'r', "report-ms", offsetof(struct simulator_options, report_ms), 10, MAX_MS},
};

static int take_number(struct arguments *arguments, int letter, const char *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(number_options); i++) {
        const struct number_option *option = &number_options[i];

        if (option->letter == letter)
            return parse_number(option->name, value, option->minimum, option->maximum,
                                (int *)((char *)&arguments->options + option->field));
    }
    return -1; /* getopt_long has told what it does not know */
}

static int take_option(struct arguments *arguments, int letter, const char *value)
{
    switch (letter) {
    case 'u':
        arguments->options.url = value;
        return 0;
    case 'U':
        arguments->user = value;
        return 0;
    case 'P':
        arguments->password_file = value;
        return 0;
    case 'p':
        arguments->options.prefix = value;
        return 0;
    case 's':
        arguments->options.suffix = value;
        return 0;
    case 'l':
        return add_label(arguments, value);
    case 'h':
        fputs(help, stdout);
        arguments->shown = true;
        return 0;
    case 'v':
        puts(PROGRAM " " FLEET_VERSION);
        arguments->shown = true;
        return 0;
    default:
        return take_number(arguments, letter, value);
    }
}

/** Returns -1 for wrong usage, which has been said. */
static int parse(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"nats-url", required_argument, NULL, 'u'},
        {"nats-user", required_argument, NULL, 'U'},
        {"nats-password-file", required_argument, NULL, 'P'},
        {"devices", required_argument, NULL, 'n'},
        {"connections", required_argument, NULL, 'c'},
        {"prefix", required_argument, NULL, 'p'},
        {"suffix", required_argument, NULL, 's'},
        {"heartbeat-ms", required_argument, NULL, 'b'},
        {"delay-ms", required_argument, NULL, 'd'},
        {"failed-percent", required_argument, NULL, 'f'},
        {"label", required_argument, NULL, 'l'},
        {"report-ms", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    while (!arguments->shown && (letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (take_option(arguments, letter, optarg) < 0)
            return -1;
    }
    if (!arguments->shown && optind < argc)
        return refuse("", argv[optind], "unexpected argument");
    if (arguments->options.connections > arguments->options.devices)
        arguments->options.connections = arguments->options.devices;
    if ((arguments->user == NULL) != (arguments->password_file == NULL))
        return refuse("nats-user", arguments->user ? arguments->user : "", "user and password file come together");
    return 0;
}

static int read_credentials(const struct arguments *arguments, struct credentials **ret, struct error *err)
{
    cleanup_free char *password = NULL;

    if (!arguments->user)
        return 0;
    if (secret_read(arguments->password_file, &password, err) < 0)
        return -1;
    return credentials_user_password(arguments->user, password, ret, err);
}

/** Before any thread is started: they inherit both. */
static int prepare_process(int *ret_signal_fd, struct error *err)
{
    pthread_attr_t small;
    sigset_t handled;

    signal(SIGPIPE, SIG_IGN); /* whoever reads along may go */
    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    pthread_sigmask(SIG_BLOCK, &handled, NULL);
    *ret_signal_fd = signalfd(-1, &handled, SFD_CLOEXEC);
    if (*ret_signal_fd < 0)
        return error_set_errno(err, errno, "opening a signalfd", NULL);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    pthread_setattr_default_np(&small);
    pthread_attr_destroy(&small);
    return 0;
}

static int simulate(struct arguments *arguments, int signal_fd, struct error *err)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    CLEANUP(simulator_free) struct simulator *simulator = NULL;

    if (read_credentials(arguments, &credentials, err) < 0)
        return -1;
    arguments->options.credentials = credentials;
    if (simulator_new(&arguments->options, &simulator, err) < 0)
        return -1;
    nats_library_start();
    int result = simulator_run(simulator, signal_fd, err);
    if (result == 0)
        result = simulator_withdraw(simulator, deadline_in_ms(WITHDRAW_MS), err);
    simulator_close(simulator);
    nats_library_stop();
    return result;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .options = {
            .url = "nats://127.0.0.1:4222", .devices = 100, .prefix = "sim", .heartbeat_ms = 30000, .report_ms = 5000}};
    cleanup_error struct error failure = ERROR_INIT;
    cleanup_close int signal_fd = -1;
    int code = EX_OK;

    log_start(PROGRAM);
    text_random_hex(arguments.suffix, sizeof(arguments.suffix));
    arguments.options.suffix = arguments.suffix;
    if (parse(argc, argv, &arguments) < 0) {
        code = EX_USAGE;
    } else if (!arguments.shown &&
               (prepare_process(&signal_fd, &failure) < 0 || simulate(&arguments, signal_fd, &failure) < 0)) {
        log_failure("the simulation broke off", &failure);
        code = EXIT_FAILURE;
    }
    arguments_clear(&arguments);
    return code;
}
