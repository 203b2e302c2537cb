/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/options.h"

#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define DAY_MS (24 * 60 * 60 * 1000)

static const char help[] =
    "Usage: " OPERATOR_PROGRAM " --nats-url URL [options]\n"
    "Bring the Deployments of a namespace to the devices they are for, and report on both.\n"
    "\n"
    "  --nats-url URL             of NATS; several with commas (HARMONY_FLEET_NATS_URL)\n"
    "  --nats-user NAME           (HARMONY_FLEET_NATS_USER)\n"
    "  --nats-password-file PATH  a file only its owner may read (HARMONY_FLEET_NATS_PASSWORD_FILE)\n"
    "  --nats-replicas N          servers of a cluster to keep the buckets on (HARMONY_FLEET_NATS_REPLICAS), default "
    "1\n"
    "  --namespace NAME           of the lease (POD_NAMESPACE)\n"
    "  --watch-namespace NAME     of the Deployments; default: the same\n"
    "  --identity NAME            among replicas (POD_NAME), default: host name and process id\n"
    "  --listen ADDRESS:PORT      of /healthz, /readyz and /metrics (HARMONY_FLEET_LISTEN), default 0.0.0.0:8080\n"
    "  --kubeconfig PATH          default: the Pod's service account, else ~/.kube/config\n"
    "  --offline-after-ms N       a device silent for so long is offline (HARMONY_FLEET_OFFLINE_AFTER_MS), default "
    "45000\n"
    "  --status-interval-ms N     a status is written at most that often (HARMONY_FLEET_STATUS_INTERVAL_MS), default "
    "500\n"
    "  --lease-ms N               how long a leader leads without renewal (HARMONY_FLEET_LEASE_MS), default 6000\n"
    "  --no-leader-election       for a single replica\n"
    "  --help                     this text\n"
    "  --version                  the version\n"
    "\n"
    "Exit codes: 0 ended by a signal, 1 could not go on, 64 wrong usage, 78 wrong configuration.\n";

enum option_kind { OPTION_TEXT, OPTION_LIST, OPTION_INTEGER, OPTION_NO };

/** One option: a flag, a variable of the same meaning, a default, and where it goes. */
struct option_row {
    const char *flag;
    const char *variable; /**< NULL: none */
    const char *fallback; /**< NULL: none */
    size_t offset;
    enum option_kind kind;
    int minimum; /**< of an integer */
};

#define AT(field) offsetof(struct operator_options, field)

static const struct option_row rows[] = {
    {"nats-url", "HARMONY_FLEET_NATS_URL", NULL, AT(nats_urls), OPTION_LIST, 0},
    {"nats-user", "HARMONY_FLEET_NATS_USER", NULL, AT(nats_user), OPTION_TEXT, 0},
    {"nats-password-file", "HARMONY_FLEET_NATS_PASSWORD_FILE", NULL, AT(nats_password_file), OPTION_TEXT, 0},
    {"nats-replicas", "HARMONY_FLEET_NATS_REPLICAS", "1", AT(nats_replicas), OPTION_INTEGER, 1},
    {"namespace", "POD_NAMESPACE", NULL, AT(namespace_name), OPTION_TEXT, 0},
    {"watch-namespace", NULL, NULL, AT(watch_namespace), OPTION_TEXT, 0},
    {"identity", "POD_NAME", NULL, AT(identity), OPTION_TEXT, 0},
    {"listen", "HARMONY_FLEET_LISTEN", "0.0.0.0:8080", AT(listen), OPTION_TEXT, 0},
    {"kubeconfig", NULL, NULL, AT(kubeconfig), OPTION_TEXT, 0},
    {"offline-after-ms", "HARMONY_FLEET_OFFLINE_AFTER_MS", "45000", AT(offline_after_ms), OPTION_INTEGER, 100},
    {"status-interval-ms", "HARMONY_FLEET_STATUS_INTERVAL_MS", "500", AT(status_interval_ms), OPTION_INTEGER, 0},
    {"lease-ms", "HARMONY_FLEET_LEASE_MS", "6000", AT(lease_ms), OPTION_INTEGER, 1000},
    {"no-leader-election", NULL, NULL, AT(leader_election), OPTION_NO, 0},
};
#define ROW_COUNT ARRAY_SIZE(rows)

static int read_integer(const struct option_row *row, const char *name, const char *text, int *ret, struct error *err)
{
    char *end = NULL;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < row->minimum || value > DAY_MS)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", name,
                         "\"%s\" is not a number from %d to %d", text, row->minimum, DAY_MS);
    *ret = (int)value;
    return 0;
}

static int set_option(const struct option_row *row, const char *name, const char *text, struct operator_options *ret,
                      struct error *err)
{
    void *field = (char *)ret + row->offset;
    cleanup_free char *copy = text_copy(text);
    char *rest = copy;
    const char *item;

    switch (row->kind) {
    case OPTION_TEXT:
        if (text[0] == '\0')
            return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", name, "is empty");
        free(*(char **)field);
        *(char **)field = TAKE_PTR(copy);
        return 0;
    case OPTION_LIST:
        text_list_clear(field);
        while ((item = strsep(&rest, ","))) {
            if (item[0] != '\0')
                text_list_add(field, item);
        }
        return 0;
    case OPTION_INTEGER:
        return read_integer(row, name, text, field, err);
    case OPTION_NO:
        *(bool *)field = false;
        return 0;
    }
    return 0;
}

/** Defaults, then the environment. */
static int read_environment(struct operator_options *ret, struct error *err)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const char *value = rows[i].variable ? getenv(rows[i].variable) : NULL;

        if (rows[i].fallback && set_option(&rows[i], rows[i].flag, rows[i].fallback, ret, err) < 0)
            return -1;
        if (value && value[0] != '\0' && set_option(&rows[i], rows[i].variable, value, ret, err) < 0)
            return -1;
    }
    return 0;
}

/** Everything that was not said but can be known. */
static int complete(struct operator_options *ret, struct error *err)
{
    char host[HOST_NAME_MAX + 1] = "";

    ret->renew_ms = ret->lease_ms / 3;
    if (ret->nats_urls.count == 0)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", "--nats-url", "is not set");
    if (!ret->nats_user != !ret->nats_password_file)
        return error_set(err, &general_error_domain, GENERAL_INVALID, "reading", "--nats-user",
                         "goes with --nats-password-file");
    if (ret->identity)
        return 0;
    gethostname(host, sizeof(host) - 1);
    ret->identity = text_format("%s-%d", host, (int)getpid());
    return 0;
}

/** Returns -1 to go on, -2 on an error, else the exit code. */
static int read_flags(int argc, char **argv, struct operator_options *ret, struct error *err)
{
    struct option options[ROW_COUNT + 3] = {{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}};
    int option;
    int index = 0;

    for (size_t i = 0; i < ROW_COUNT; i++)
        options[i + 2] =
            (struct option){rows[i].flag, rows[i].kind == OPTION_NO ? no_argument : required_argument, NULL, 0};
    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0 ? EX_IOERR : EX_OK;
        if (option == 'v')
            return puts(OPERATOR_PROGRAM " " FLEET_VERSION) < 0 ? EX_IOERR : EX_OK;
        if (option != 0) {
            fputs("Try " OPERATOR_PROGRAM " --help.\n", stderr);
            return EX_USAGE;
        }
        const struct option_row *row = &rows[index - 2];
        cleanup_free char *name = text_format("--%s", row->flag);
        if (set_option(row, name, optarg ? optarg : "", ret, err) < 0)
            return -2;
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, OPERATOR_PROGRAM ": unexpected argument: %s\nTry " OPERATOR_PROGRAM " --help.\n", argv[optind]);
    return EX_USAGE;
}

int operator_options_read(int argc, char **argv, struct operator_options *ret, int *ret_exit, struct error *err)
{
    struct operator_options options = {.leader_election = true};
    int code;

    *ret_exit = -1;
    if (read_environment(&options, err) < 0 || (code = read_flags(argc, argv, &options, err)) == -2) {
        operator_options_clear(&options);
        return -1;
    }
    *ret_exit = code;
    if (code < 0 && complete(&options, err) < 0) {
        operator_options_clear(&options);
        return -1;
    }
    *ret = options;
    return 0;
}

void operator_options_clear(struct operator_options *options)
{
    text_list_clear(&options->nats_urls);
    free(options->nats_user);
    free(options->nats_password_file);
    free(options->namespace_name);
    free(options->watch_namespace);
    free(options->identity);
    free(options->listen);
    free(options->kubeconfig);
    *options = (struct operator_options){0};
}
