/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/process.h"
#include "harness/program.h"
#include "harness/test.h"

/*
 * harmony-fleet-agent as a person at a prompt meets it: options, bad configuration, exit codes.
 */

#define EXIT_USAGE  64 /* sysexits.h, as docs/agent-config.md promises */
#define EXIT_CONFIG 78

static int run_agent(const char *const *arguments, struct process_result *result, struct error *err)
{
    cleanup_text_list struct text_list argv = {0};
    char *program = NULL;

    if (program_find("harmony-fleet-agent", &program, err) < 0)
        return -1;
    text_list_take(&argv, program);
    for (size_t i = 0; arguments[i]; i++)
        text_list_add(&argv, arguments[i]);
    struct process_options options = {.argv = (const char *const *)argv.items};
    return process_run(&options, deadline_in_ms(10000), result, err);
}

/** Write `text` as a configuration with `mode` into the test's run and let the agent check it. */
static int check_config(struct test_context *test, const char *text, mode_t mode, struct process_result *result,
                        struct error *err)
{
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *path = text_format("%s/agent-config.toml", run_directory(run));
    TRY(file_write_atomic(path, text, strlen(text), mode, err));
    return run_agent((const char *const[]){"--config", path, "--check-config", NULL}, result, err);
}

FLEET_TEST(host_agent_program, says_version_and_help, .gate = "host")
{
    cleanup_process_result struct process_result version = {0};
    cleanup_process_result struct process_result help = {0};

    TRY(run_agent((const char *const[]){"--version", NULL}, &version, err));
    CHECK(version.exit_code == 0 && strstr(version.output, FLEET_VERSION), "--version: %d, %s", version.exit_code,
          version.output);
    TRY(run_agent((const char *const[]){"--help", NULL}, &help, err));
    CHECK(help.exit_code == 0 && strstr(help.output, "--config"), "--help: %d, %s", help.exit_code, help.output);
    return 0;
}

FLEET_TEST(host_agent_program, refuses_unknown_options, .gate = "host")
{
    cleanup_process_result struct process_result result = {0};

    TRY(run_agent((const char *const[]){"--confg", "x", NULL}, &result, err));
    CHECK(result.exit_code == EXIT_USAGE, "exit code %d", result.exit_code);
    CHECK(strstr(result.errors, "--confg"), "the option is not named: %s", result.errors);
    return 0;
}

FLEET_TEST(host_agent_program, missing_config_file_is_named, .gate = "host")
{
    cleanup_process_result struct process_result result = {0};

    TRY(run_agent((const char *const[]){"--config", "/nonexistent/agent-config.toml", NULL}, &result, err));
    CHECK(result.exit_code == EXIT_CONFIG, "exit code %d", result.exit_code);
    CHECK(strstr(result.errors, "/nonexistent/agent-config.toml"), "the file is not named: %s", result.errors);
    return 0;
}

FLEET_TEST(host_agent_program, config_errors_name_file_line_and_key, .gate = "host")
{
    static const struct {
        const char *text;
        const char *place; /**< "file:line" */
        const char *key;
    } cases[] = {
        {"[agent]\ndevice_id = 7\n[nats]\nurls = [\"nats://127.0.0.1:4222\"]\n", "agent-config.toml:2", "device_id"},
        {"[agent]\ndevice_id = \"a.b\"\n[nats]\nurls = [\"nats://127.0.0.1:4222\"]\n", "agent-config.toml:2",
         "device_id"},
        {"[agent]\ndevice_id = \"a\"\n[nats]\nurls = \"nats://127.0.0.1:4222\"\n", "agent-config.toml:4", "urls"},
        {"[agent]\ndevice_id = \"a\"\ncolour = \"red\"\n[nats]\nurls = [\"nats://127.0.0.1:4222\"]\n",
         "agent-config.toml:3", "colour"},
        {"[agent]\ndevice_id = \"a\"\n[nats]\nurls = [\"nats://127.0.0.1:4222\"]\n[credentials]\ntype = \"magic\"\n",
         "agent-config.toml:6", "magic"},
        {"[agent]\ndevice_id = \"a\"\n", "agent-config.toml", "urls"},
        {"[agent\n", "agent-config.toml:1", ""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_process_result struct process_result result = {0};

        TRY(check_config(test, cases[i].text, 0600, &result, err));
        CHECK(result.exit_code == EXIT_CONFIG, "case %zu: exit code %d: %s", i, result.exit_code, result.errors);
        CHECK(strstr(result.errors, cases[i].place), "case %zu: \"%s\" is not in: %s", i, cases[i].place,
              result.errors);
        CHECK(strstr(result.errors, cases[i].key), "case %zu: \"%s\" is not in: %s", i, cases[i].key, result.errors);
    }
    return 0;
}

FLEET_TEST(host_agent_program, secret_that_others_may_read_is_refused, .gate = "host")
{
    cleanup_process_result struct process_result refused = {0};
    cleanup_process_result struct process_result accepted = {0};
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *secret = text_format("%s/password", run_directory(run));
    cleanup_free char *text = text_format("[agent]\ndevice_id = \"a\"\n[nats]\nurls = [\"nats://127.0.0.1:4222\"]\n"
                                          "[credentials]\ntype = \"toml-shared\"\nuser = \"device\"\n"
                                          "password_file = \"%s\"\n",
                                          secret);
    TRY(file_write_atomic(secret, "s3cret\n", 7, 0644, err));
    TRY(check_config(test, text, 0600, &refused, err));
    CHECK(refused.exit_code == EXIT_CONFIG, "exit code %d: %s", refused.exit_code, refused.errors);
    CHECK(strstr(refused.errors, secret) && strstr(refused.errors, "644"), "file and mode are not named: %s",
          refused.errors);
    CHECK(!strstr(refused.errors, "s3cret"), "the secret is in the message");
    TRY(file_write_atomic(secret, "s3cret\n", 7, 0600, err));
    TRY(check_config(test, text, 0600, &accepted, err));
    CHECK(accepted.exit_code == 0, "exit code %d: %s", accepted.exit_code, accepted.errors);
    return 0;
}
