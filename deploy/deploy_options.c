/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/deploy_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define HELP_COLUMN   40
#define READING       "reading the command line"
#define ALL           0x7 /* filters an option is of use for, a bit each */
#define ONLY_NATS     (1 << DEPLOY_SERVER | 1 << DEPLOY_NATS)
#define ONLY_OPERATOR (1 << DEPLOY_SERVER | 1 << DEPLOY_OPERATOR)

/** In the order of --help; what is required comes in the order in which it is asked for. */
static const struct description {
    const char *name;
    const char *variable;
    const char *value; /**< what --help calls it */
    const char *fallback;
    unsigned required; /**< for these filters */
    const char *text;
} descriptions[DEPLOY_OPTION_COUNT] = {
    [OPTION_FILTER] = {"filter", "HARMONY_FLEET_FILTER", "SCORE", "server", 0,
                       "server (NATS and operator), nats or operator"},
    [OPTION_NAMESPACE] = {"namespace", "HARMONY_FLEET_NAMESPACE", "NAME", "harmony-fleet-system", 0,
                          "where everything goes; made if it is missing"},
    [OPTION_KUBECONFIG] = {"kubeconfig", "KUBECONFIG", "FILE", NULL, 0,
                           "how to reach the cluster; else as kubectl does"},
    [OPTION_CONTEXT] = {"context", "HARMONY_FLEET_CONTEXT", "NAME", NULL, 0, "of the kubeconfig; else the current one"},
    [OPTION_TIMEOUT] = {"timeout", "HARMONY_FLEET_TIMEOUT", "SECONDS", "120", 0, "of the whole"},
    [OPTION_NATS_ADMIN_USER] = {"nats-admin-user", "HARMONY_FLEET_NATS_ADMIN_USER", "NAME", NULL, ALL,
                                "may do everything; the operator's"},
    [OPTION_NATS_ADMIN_PASSWORD_FILE] = {"nats-admin-password-file", "HARMONY_FLEET_NATS_ADMIN_PASSWORD_FILE", "FILE",
                                         NULL, ALL, "its first line; of mode 0600"},
    [OPTION_NATS_DEVICE_USER] = {"nats-device-user", "HARMONY_FLEET_NATS_DEVICE_USER", "NAME", NULL, ONLY_NATS,
                                 "shared by the devices"},
    [OPTION_NATS_DEVICE_PASSWORD_FILE] = {"nats-device-password-file", "HARMONY_FLEET_NATS_DEVICE_PASSWORD_FILE",
                                          "FILE", NULL, ONLY_NATS, "its first line; of mode 0600"},
    [OPTION_NATS_IMAGE] = {"nats-image", "HARMONY_FLEET_NATS_IMAGE", "IMAGE", NULL, ONLY_NATS,
                           "of nats-server, 2.10 or newer"},
    [OPTION_NATS_REPLICAS] =
        {"nats-replicas", "HARMONY_FLEET_NATS_REPLICAS", "1|3", "1", 0,
         "3: a cluster, which one server less does not stop; the operator keeps the buckets on all of them"},
    [OPTION_NATS_NODE_PORT] = {"nats-node-port", "HARMONY_FLEET_NATS_NODE_PORT", "PORT", NULL, 0,
                               "for devices outside of the cluster; else there is none"},
    [OPTION_NODE_ADDRESS] =
        {"node-address", "HARMONY_FLEET_NODE_ADDRESS", "ADDRESS", NULL, 0,
         "of a node, where the node port answers from here: NATS is then checked as its clients see "
         "it, else by way of the API server"},
    [OPTION_NATS_STORAGE] = {"nats-storage", "HARMONY_FLEET_NATS_STORAGE", "SIZE", NULL, 0,
                             "of a volume for each replica, like 1Gi; else what NATS stores goes with its Pod, and "
                             "operator and agents write it again"},
    [OPTION_NATS_STORAGE_CLASS] = {"nats-storage-class", "HARMONY_FLEET_NATS_STORAGE_CLASS", "NAME", NULL, 0,
                                   "of those volumes; else the cluster's default class"},
    [OPTION_NATS_SYNC_INTERVAL] = {"nats-sync-interval", "HARMONY_FLEET_NATS_SYNC_INTERVAL", "TIME", "10s", 0,
                                   "always, or how long what was written may be lost with the power, like 10s"},
    [OPTION_OPERATOR_IMAGE] = {"operator-image", "HARMONY_FLEET_OPERATOR_IMAGE", "IMAGE", NULL, ONLY_OPERATOR,
                               "of harmony-fleet-operator"},
    [OPTION_OPERATOR_REPLICAS] = {"operator-replicas", "HARMONY_FLEET_OPERATOR_REPLICAS", "COUNT", "1", 0,
                                  "more than one elect a leader"},
    [OPTION_OFFLINE_AFTER_MS] = {"offline-after-ms", "HARMONY_FLEET_OFFLINE_AFTER_MS", "MS", NULL, 0,
                                 "without a heartbeat a device is offline; else the operator's default"},
    [OPTION_NATS_URL] = {"nats-url", "HARMONY_FLEET_NATS_URL", "URL", NULL, 0,
                         "--filter operator: NATS as Pods reach it; else the namespace's Service nats"},
};

static const struct {
    const char *name;
    enum deploy_filter filter;
} filters[] = {{"server", DEPLOY_SERVER}, {"nats", DEPLOY_NATS}, {"operator", DEPLOY_OPERATOR}};

/** Lines of at most the width of a terminal, the second and further ones indented. */
static void print_text(FILE *out, const char *text)
{
    size_t column = HELP_COLUMN;

    for (const char *word = text; *word;) {
        size_t size = strcspn(word, " ");

        if (column > HELP_COLUMN && column + 1 + size > 112) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        fprintf(out, "%s%.*s", column > HELP_COLUMN ? " " : "", (int)size, word);
        column += size + 1;
        word += size + strspn(word + size, " ");
    }
}

static void print_option(FILE *out, const struct description *option)
{
    cleanup_free char *head = text_format("  --%s %s", option->name, option->value);
    cleanup_free char *text =
        text_format("%s%s%s%s [%s]", option->text, option->fallback ? "; default " : "",
                    option->fallback ? option->fallback : "", option->required ? "; required" : "", option->variable);

    fprintf(out, "%-*s", HELP_COLUMN, head);
    if (strlen(head) >= HELP_COLUMN)
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    print_text(out, text);
    fputc('\n', out);
}

void deploy_options_help(FILE *out)
{
    fputs(
        "usage: " DEPLOY_PROGRAM " [options] [apply|plan]\n"
        "\n"
        "Deploy the control plane of a fleet to a Kubernetes cluster: NATS with JetStream, and the operator with its\n"
        "custom resource definitions and rights. What is there already and as it should be is left alone, so it is\n"
        "repeated without harm, and an interrupted run is finished by the next one.\n"
        "\n"
        "  apply   (default) deploy, then wait until it answers\n"
        "  plan    print what would change, as the server says, and change nothing; also --plan, --dry-run\n"
        "\n",
        out);
    for (size_t i = 0; i < DEPLOY_OPTION_COUNT; i++)
        print_option(out, &descriptions[i]);
    fputs("  --help, --version\n"
          "\n"
          "Passwords have no defaults and are only taken from files: a command line and an environment can be read by\n"
          "others. Where an option is required for a part that --filter leaves out, it need not be given.\n"
          "\n"
          "Example:\n"
          "  " DEPLOY_PROGRAM " --nats-image registry.example.org/nats-server:2.10 \\\n"
          "    --operator-image registry.example.org/harmony-fleet-operator:1 \\\n"
          "    --nats-admin-user admin --nats-admin-password-file admin-password \\\n"
          "    --nats-device-user device --nats-device-password-file device-password \\\n"
          "    --nats-node-port 30423 --nats-storage 1Gi plan\n"
          "\n"
          "Exit codes: 0 done (plan: printed), 1 failed, 2 wrong usage or values (nothing was touched),\n"
          "3 deployed but it does not answer.\n",
          out);
}

static int parse_filter(struct deploy_options *options, struct error *err)
{
    const char *value = options->values[OPTION_FILTER];

    for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
        if (strcmp(value, filters[i].name) == 0) {
            options->filter = filters[i].filter;
            return 0;
        }
    }
    return error_set(err, &general_error_domain, GENERAL_INVALID, READING, NULL,
                     "--filter: \"%s\" is neither server nor nats nor operator", value);
}

/** What getopt does not take: "plan" or "apply". */
static int parse_action(int count, char **arguments, struct deploy_options *options, struct error *err)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "plan") == 0)
            options->plan = true;
        else if (strcmp(arguments[i], "apply") != 0 || count > 1)
            return error_set(err, &general_error_domain, GENERAL_INVALID, READING, NULL, "unexpected argument: %s",
                             arguments[i]);
    }
    return 0;
}

static void fill_in(struct deploy_options *options)
{
    for (size_t i = 0; i < DEPLOY_OPTION_COUNT; i++) {
        const char *variable = getenv(descriptions[i].variable);

        if (!options->values[i] && variable && *variable)
            options->values[i] = variable;
        if (!options->values[i])
            options->values[i] = descriptions[i].fallback;
    }
}

static int check_required(const struct deploy_options *options, struct error *err)
{
    cleanup_text_list struct text_list missing = {0};

    for (size_t i = 0; i < DEPLOY_OPTION_COUNT; i++)
        if (descriptions[i].required >> options->filter & 1 && !options->values[i])
            text_list_format(&missing, "--%s (%s)", descriptions[i].name, descriptions[i].variable);
    if (missing.count == 0)
        return 0;
    cleanup_free char *text = text_list_join(&missing, ", ");
    return error_set(err, &general_error_domain, GENERAL_INVALID, READING, NULL, "missing: %s", text);
}

/** The table as getopt_long has it; further values follow the options'. */
enum { VALUE_PLAN = DEPLOY_OPTION_COUNT, VALUE_HELP, VALUE_VERSION };
static void fill_table(struct option *table)
{
    static const struct option others[] = {{"plan", no_argument, NULL, VALUE_PLAN},
                                           {"dry-run", no_argument, NULL, VALUE_PLAN},
                                           {"help", no_argument, NULL, VALUE_HELP},
                                           {"version", no_argument, NULL, VALUE_VERSION},
                                           {NULL, 0, NULL, 0}};

    for (int i = 0; i < DEPLOY_OPTION_COUNT; i++)
        table[i] = (struct option){descriptions[i].name, required_argument, NULL, i};
    memcpy(table + DEPLOY_OPTION_COUNT, others, sizeof(others));
}

/** The option that getopt_long() has just taken, as it was written. `value`: what it took for its value. */
static const char *as_written(char **argv, const char *value)
{
    return argv[optind - (value && value == argv[optind - 1] ? 2 : 1)];
}

/** getopt_long() takes "--nats-rep" for "--nats-replicas", until there is another option that begins like that. */
static bool is_whole(const char *written, const char *name)
{
    size_t size = strlen(name);

    return strncmp(written, "--", 2) == 0 && strncmp(written + 2, name, size) == 0 &&
           (written[2 + size] == '\0' || written[2 + size] == '=');
}

/** One step of getopt_long(): `name` is the option's, unless `value` says that there is none. Errors: GENERAL_INVALID, naming what was written. */
static int take_option(int value, char **argv, const char *name, struct deploy_options *options, struct error *err)
{
    if (value == ':')
        return error_set(err, &general_error_domain, GENERAL_INVALID, READING, NULL, "%s: its value is missing",
                         as_written(argv, NULL));
    if (value == '?' || !is_whole(as_written(argv, optarg), name))
        return error_set(err, &general_error_domain, GENERAL_INVALID, READING, NULL,
                         "unknown option, or one that takes no value: %s (--help lists all)",
                         as_written(argv, value == '?' ? NULL : optarg));
    if (value < DEPLOY_OPTION_COUNT)
        options->values[value] = optarg;
    options->plan = options->plan || value == VALUE_PLAN;
    options->help = options->help || value == VALUE_HELP;
    options->version = options->version || value == VALUE_VERSION;
    return 0;
}

/** A host's name or its address, without a port: that is another option. */
static bool is_host(const char *text)
{
    struct in6_addr ignored;

    if (strchr(text, ':'))
        return inet_pton(AF_INET6, text, &ignored) == 1;
    return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-")] == '\0';
}

/** An option of another score than the filtered one would be taken for granted, and do nothing. */
static int check_useful(const struct deploy_options *options, struct error *err)
{
    if (options->values[OPTION_NATS_URL] && options->filter != DEPLOY_OPERATOR)
        return error_set(
            err, &general_error_domain, GENERAL_INVALID, READING, NULL,
            "--nats-url (HARMONY_FLEET_NATS_URL) goes with --filter operator: else the operator has the NATS that is "
            "deployed");
    if (options->values[OPTION_NODE_ADDRESS] && !is_host(options->values[OPTION_NODE_ADDRESS]))
        return error_set(err, &general_error_domain, GENERAL_INVALID, READING, NULL,
                         "--node-address: \"%s\" is neither an address nor a host's name",
                         options->values[OPTION_NODE_ADDRESS]);
    if (options->values[OPTION_NODE_ADDRESS] && !options->values[OPTION_NATS_NODE_PORT] &&
        options->filter != DEPLOY_OPERATOR)
        return error_set(err, &general_error_domain, GENERAL_INVALID, READING, NULL,
                         "--node-address goes with --nats-node-port");
    return 0;
}

int deploy_options_parse(int argc, char **argv, struct deploy_options *ret, struct error *err)
{
    struct option table[DEPLOY_OPTION_COUNT + 5];
    struct deploy_options options = {0};
    int value;
    int index = 0;

    fill_table(table);
    optind = 0; /* a second parse, in a test, begins anew */
    while ((value = getopt_long(argc, argv, ":", table, &index)) != -1)
        if (take_option(value, argv, table[index].name, &options, err) < 0)
            return -1;
    if (!options.help && !options.version) {
        fill_in(&options);
        if (parse_action(argc - optind, argv + optind, &options, err) < 0 || parse_filter(&options, err) < 0 ||
            check_required(&options, err) < 0 || check_useful(&options, err) < 0)
            return -1;
    }
    *ret = options;
    return 0;
}

int deploy_option_number(const struct deploy_options *options, enum deploy_option option, int *ret, struct error *err)
{
    const char *text = options->values[option];
    char *end = NULL;

    if (!text) {
        *ret = 0;
        return 0;
    }
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end || number < 1 || number > INT_MAX)
        return error_set(err, &general_error_domain, GENERAL_INVALID, READING, NULL,
                         "--%s: \"%s\" is not a whole number of at least 1", descriptions[option].name, text);
    *ret = (int)number;
    return 0;
}
