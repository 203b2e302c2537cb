/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/deploy_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/test.h"

#define ARGUMENTS_MAX 24

/** Parse a NULL-terminated list of arguments. */
static int parse(const char *const *arguments, struct deploy_options *options, struct error *err)
{
    char *argv[ARGUMENTS_MAX] = {(char *)DEPLOY_PROGRAM};
    int count = 1;

    for (; arguments[count - 1]; count++)
        argv[count] = (char *)arguments[count - 1];
    return deploy_options_parse(count, argv, options, err);
}

#define CREDENTIALS                                                                                                    \
    "--nats-admin-user", "admin", "--nats-admin-password-file", "a", "--nats-device-user", "device",                   \
        "--nats-device-password-file", "d"
#define IMAGES "--nats-image", "n:1", "--operator-image", "o:1"

FLEET_TEST(deploy_options, take_the_command_line_before_the_environment)
{
    static const char *const arguments[] = {CREDENTIALS, IMAGES, "--nats-node-port=30423", "plan", NULL};
    struct deploy_options options = {0};
    int port = 0;
    int replicas = 0;

    setenv("HARMONY_FLEET_NAMESPACE", "elsewhere", 1);
    setenv("HARMONY_FLEET_NATS_NODE_PORT", "1", 1);
    TRY(parse(arguments, &options, err));
    TRY(deploy_option_number(&options, OPTION_NATS_NODE_PORT, &port, err));
    TRY(deploy_option_number(&options, OPTION_NATS_REPLICAS, &replicas, err));
    CHECK(options.plan && options.filter == DEPLOY_SERVER, "plan %d, filter %d", options.plan, options.filter);
    CHECK(text_equal(options.values[OPTION_NAMESPACE], "elsewhere"), "namespace %s", options.values[OPTION_NAMESPACE]);
    CHECK(port == 30423 && replicas == 1, "port %d, replicas %d", port, replicas);
    return 0;
}

FLEET_TEST(deploy_options, name_what_is_missing)
{
    static const char *const nothing[] = {NULL};
    static const char *const operator_alone[] = {
        "--filter", "operator", "--operator-image", "o:1", "--nats-admin-user", "a", "--nats-admin-password-file",
        "f",        NULL};
    struct deploy_options options = {0};
    cleanup_error struct error missing = ERROR_INIT;

    CHECK(parse(nothing, &options, &missing) < 0, "it went on without credentials");
    const char *detail = error_root_detail(&missing);
    CHECK(error_is(&missing, &general_error_domain, GENERAL_INVALID), "another error");
    CHECK(strstr(detail, "--nats-admin-password-file (HARMONY_FLEET_NATS_ADMIN_PASSWORD_FILE)") &&
              strstr(detail, "--nats-device-user (HARMONY_FLEET_NATS_DEVICE_USER)"),
          "it does not name them: %s", detail);
    return parse(operator_alone, &options, err);
}

FLEET_TEST(deploy_options, refuse_what_makes_no_sense)
{
    static const char *const cases[][ARGUMENTS_MAX] = {
        {CREDENTIALS, IMAGES, "remove", NULL},
        {CREDENTIALS, IMAGES, "plan", "apply", NULL},
        {CREDENTIALS, IMAGES, "--filter", "agents", NULL},
        {CREDENTIALS, IMAGES, "--no-such-option", NULL},
        {CREDENTIALS, IMAGES, "--namespace", NULL},
        {CREDENTIALS, IMAGES, "--nats-repl", "3", NULL},
        {CREDENTIALS, IMAGES, "--nats-repl=3", NULL},
        {CREDENTIALS, IMAGES, "--plan=yes", NULL},
        {CREDENTIALS, IMAGES, "-x", NULL},
        {CREDENTIALS, IMAGES, "--nats-url", "nats://elsewhere:4222", NULL},
        {CREDENTIALS, IMAGES, "--node-address", "192.0.2.1", NULL},
        {CREDENTIALS, IMAGES, "--nats-node-port", "1", "--node-address", "192.0.2.1:30423", NULL},
        {CREDENTIALS, IMAGES, "--nats-node-port", "1", "--node-address", "http://192.0.2.1", NULL},
        {CREDENTIALS, IMAGES, "--nats-node-port", "1", "--node-address=", NULL},
    };
    static const char *const words[] = {
        "remove",     "apply", "agents",     "--no-such-option", "--namespace",    "--nats-repl",    "--nats-repl",
        "--plan=yes", "-x",    "--nats-url", "--node-address",   "--node-address", "--node-address", "--node-address"};
    static const char *const numbers[] = {"30423x", "0", "-1", "+1", " 1", "", "99999999999"};
    struct deploy_options options = {0};
    int port = 0;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_error struct error refused = ERROR_INIT;
        CHECK(parse(cases[i], &options, &refused) < 0, "case %zu was accepted", i);
        CHECK(error_is(&refused, &general_error_domain, GENERAL_INVALID), "case %zu: another error", i);
        CHECK(strstr(error_root_detail(&refused), words[i]), "case %zu: %s", i, error_root_detail(&refused));
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        const char *const arguments[] = {CREDENTIALS, IMAGES, "--nats-node-port", numbers[i], NULL};
        TRY(parse(arguments, &options, err));
        CHECK_FAILS(deploy_option_number(&options, OPTION_NATS_NODE_PORT, &port, err), general_error_domain,
                    GENERAL_INVALID);
    }
    return 0;
}

FLEET_TEST(deploy_options, help_explains_every_option)
{
    static const char *const arguments[] = {"--help", NULL};
    struct deploy_options options = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    TRY(parse(arguments, &options, err));
    deploy_options_help(out);
    fclose(out);
    cleanup_free char *owned = text;
    CHECK(options.help && strstr(owned, "HARMONY_FLEET_NATS_ADMIN_PASSWORD_FILE") && strstr(owned, "Exit codes"),
          "the help is %s", owned);
    for (const char *line = owned; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        CHECK(strcspn(line, "\n") <= 114, "a line has %zu bytes: %.60s", strcspn(line, "\n"), line);
    }
    return 0;
}
