/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "harness/test.h"

#define NAME "agent-config.toml"
#define HEAD "[agent]\ndevice_id = \"pi-01\"\n"
#define NATS "[nats]\nurls = [\"nats://127.0.0.1:4222\"]\n"

static int parse(const char *text, struct agent_config **ret, struct error *err)
{
    return agent_config_parse(NAME, text, strlen(text), ret, err);
}

FLEET_TEST(agent_config, smallest_has_defaults)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;

    TRY(parse(HEAD NATS, &config, err));
    CHECK(text_equal(config->device_id, "pi-01"), "device %s", config->device_id);
    CHECK(config->runtime_enabled, "the runtime is off");
    CHECK(text_equal(config->state_directory, "/var/lib/harmony-fleet-agent"), "%s", config->state_directory);
    CHECK(text_equal(config->podman_socket, "/run/podman/podman.sock"), "%s", config->podman_socket);
    CHECK(config->heartbeat_interval_ms == 30000 && config->reconcile_interval_ms == 30000, "other intervals");
    CHECK(config->nats_urls.count == 1 && text_equal(config->nats_urls.items[0], "nats://127.0.0.1:4222"), "other URL");
    CHECK(!config->credentials && !config->ca_file && !config->cert_file && !config->key_file, "more than was given");
    CHECK(config->label_count == 0, "%zu labels", config->label_count);
    return 0;
}

FLEET_TEST(agent_config, whole_is_read)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;

    TRY(parse("[agent]\ndevice_id = \"pi-01\"\nruntime_enabled = false\nstate_directory = \"/tmp/state\"\n"
              "heartbeat_interval_s = 0.1\nreconcile_interval_s = 7\n"
              "[labels]\nsite = \"berlin\"\n\"a.b/c\" = \"\"\n"
              "[nats]\nurls = [\"nats://a:1\", \"tls://b\"]\nca_file = \"/dev/null\"\n"
              "[credentials]\ntype = \"toml-shared\"\nuser = \"device\"\npassword = \"pw\"\n"
              "[podman]\nsocket = \"/tmp/podman.sock\"\n",
              &config, err));
    CHECK(!config->runtime_enabled, "the runtime is on");
    CHECK(text_equal(config->state_directory, "/tmp/state"), "%s", config->state_directory);
    CHECK(config->heartbeat_interval_ms == 100, "%d", config->heartbeat_interval_ms);
    CHECK(config->reconcile_interval_ms == 7000, "%d", config->reconcile_interval_ms);
    CHECK(config->label_count == 2, "%zu labels", config->label_count);
    CHECK(text_equal(config->labels[0].key, "a.b/c") && text_equal(config->labels[0].value, ""), "first label");
    CHECK(text_equal(config->labels[1].key, "site") && text_equal(config->labels[1].value, "berlin"), "second label");
    CHECK(config->nats_urls.count == 2, "%zu URLs", config->nats_urls.count);
    CHECK(text_equal(config->ca_file, "/dev/null"), "%s", config->ca_file);
    CHECK(text_equal(config->credentials->password, "pw"), "another password");
    CHECK(text_equal(config->podman_socket, "/tmp/podman.sock"), "%s", config->podman_socket);
    return 0;
}

struct bad {
    const char *text;
    int code;
    const char *says; /* what the whole message must contain */
};

static const struct bad bads[] = {
    {"x = [", CONFIG_SYNTAX, NAME ":1: "},
    {HEAD "device_id = \"again\"\n" NATS, CONFIG_SYNTAX, NAME ":3: "},
    {HEAD "[nats]\nurls = \xc3\xa9\n", CONFIG_SYNTAX, NAME ":4: "}, /* undefined behaviour in toml++ 3.3 itself */
    {HEAD "[nats]\nurls = 2\xc9\xab\n", CONFIG_SYNTAX, NAME ":4: "},
    {"\xff\xfe", CONFIG_SYNTAX, NAME ":1: "},
    {"", CONFIG_MISSING, NAME ":1: agent.device_id: is missing"},
    {"\n[agent]\nruntime_enabled = true\n" NATS, CONFIG_MISSING, NAME ":2: agent.device_id: "},
    {HEAD, CONFIG_MISSING, NAME ":1: nats.urls: "},
    {HEAD "[nats]\n", CONFIG_MISSING, NAME ":3: nats.urls: "},
    {HEAD "[nats]\nurls = 7\n", CONFIG_WRONG_TYPE, NAME ":4: nats.urls: expected an array of strings, found integer"},
    {HEAD "[nats]\nurls = [\"nats://a\",\n  7]\n", CONFIG_WRONG_TYPE,
     NAME ":5: nats.urls[1]: expected a string, found integer"},
    {HEAD "[nats]\nurls = []\n", CONFIG_INVALID, NAME ":4: nats.urls: "},
    {HEAD "[nats]\nurls = [\"http://a\"]\n", CONFIG_INVALID, NAME ":4: nats.urls[0]: "},
    {HEAD "[nats]\nurls = [\"nats://\"]\n", CONFIG_INVALID, "names no host"},
    {HEAD "[nats]\nurls = [\"nats://u:secret@a\"]\n", CONFIG_INVALID, "must not hold credentials"},
    {"[agent]\ndevice_id = true\n" NATS, CONFIG_WRONG_TYPE, ":2: agent.device_id: expected a string, found boolean"},
    {"[agent]\ndevice_id = \"pi.01\"\n" NATS, CONFIG_INVALID, ":2: agent.device_id: "},
    {"[agent]\ndevice_id = \"pi\\u0000\"\n" NATS, CONFIG_INVALID, ":2: agent.device_id: has a control character"},
    {HEAD "runtime_enabled = \"yes\"\n" NATS, CONFIG_WRONG_TYPE,
     ":3: agent.runtime_enabled: expected true or false, found string"},
    {HEAD "heartbeat_interval_s = \"30\"\n" NATS, CONFIG_WRONG_TYPE,
     ":3: agent.heartbeat_interval_s: expected a number"},
    {HEAD "heartbeat_interval_s = 0\n" NATS, CONFIG_INVALID, ":3: agent.heartbeat_interval_s: "},
    {HEAD "reconcile_interval_s = nan\n" NATS, CONFIG_INVALID, ":3: agent.reconcile_interval_s: "},
    {HEAD "reconcile_interval_s = -5\n" NATS, CONFIG_INVALID, ":3: agent.reconcile_interval_s: "},
    {HEAD "reconcile_interval_s = 9223372036854775807\n" NATS, CONFIG_INVALID, ":3: agent.reconcile_interval_s: "},
    {HEAD "state_directory = \"state\"\n" NATS, CONFIG_INVALID,
     ":3: agent.state_directory: \"state\" is not an absolute"},
    {HEAD "heartbeat_intervall_s = 3\n" NATS, CONFIG_UNKNOWN_KEY, ":3: agent.heartbeat_intervall_s: unknown key"},
    {HEAD NATS "[extra]\n", CONFIG_UNKNOWN_KEY, ":5: extra: unknown table or key"},
    {"agent = 3\n", CONFIG_WRONG_TYPE, ":1: agent: expected a table"},
    {HEAD "[labels]\na.b = \"x\"\n" NATS, CONFIG_WRONG_TYPE, ":4: labels.a: "},
    {HEAD "[labels]\na = 3\n" NATS, CONFIG_WRONG_TYPE, ":4: labels.a: expected a string, found integer"},
    {HEAD "[labels]\n\"a b\" = \"x\"\n" NATS, CONFIG_INVALID, ":4: labels.a b: "},
    {HEAD NATS "[credentials]\n", CONFIG_MISSING, ":5: credentials.type: "},
    {HEAD NATS "[credentials]\ntype = \"zitadel\"\n", CONFIG_INVALID,
     ":6: credentials.type: unknown credential type \"zitadel\""},
    {HEAD NATS "[credentials]\ntype = \"toml-shared\"\nuser = \"u\"\n", CONFIG_MISSING,
     ":5: credentials.password_file: "},
    {HEAD NATS "[credentials]\ntype = \"toml-shared\"\npassword = \"p\"\n", CONFIG_MISSING, ":5: credentials.user: "},
    {HEAD NATS "[credentials]\ntype = \"toml-shared\"\nuser = \"u\"\npassword = \"p\"\npassword_file = \"/p\"\n",
     CONFIG_INVALID, ":8: credentials.password: cannot stand beside"},
    {HEAD NATS "[credentials]\ntype = \"toml-shared\"\nuser = \"u\"\npassword = 3\n", CONFIG_WRONG_TYPE,
     ":8: credentials.password: expected a string"},
    {HEAD NATS "cert_file = \"/dev/null\"\n", CONFIG_MISSING, ":3: nats.key_file: "},
    {HEAD NATS
     "[podman]\nsocket = \"/run/"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\n",
     CONFIG_INVALID, ":6: podman.socket: "},
};

FLEET_TEST(agent_config, errors_name_file_line_and_key)
{
    for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
        CLEANUP(agent_config_free) struct agent_config *config = NULL;
        cleanup_error struct error refused = ERROR_INIT;

        CHECK(parse(bads[i].text, &config, &refused) < 0, "accepted: %s", bads[i].text);
        cleanup_free char *text = error_text(&refused);
        CHECK(error_is(&refused, &config_error_domain, bads[i].code), "another code for %s: %s", bads[i].text, text);
        CHECK(strstr(text, bads[i].says) != NULL, "\"%s\" does not say \"%s\"", text, bads[i].says);
        CHECK(strstr(text, "secret") == NULL, "a secret is told: %s", text);
    }
    return 0;
}

FLEET_TEST(agent_config, file_that_is_missing_is_named)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;

    CHECK_FAILS(agent_config_load("/nonexistent/agent-config.toml", &config, err), system_error_domain, ENOENT);
    CHECK_FAILS(parse(HEAD NATS "ca_file = \"/nonexistent/ca\"\n", &config, err), system_error_domain, ENOENT);
    CHECK_FAILS(parse(HEAD NATS "[credentials]\ntype=\"toml-shared\"\nuser=\"u\"\npassword_file=\"/nonexistent/p\"\n",
                      &config, err),
                system_error_domain, ENOENT);
    return 0;
}

/** Write a configuration of this mode whose [credentials] are as given. */
static int write_config(struct test_context *test, const char *credentials, mode_t mode, char **ret, struct error *err)
{
    cleanup_free char *path = text_format("%s/" NAME, test->artefacts);
    cleanup_free char *text =
        text_format("%s%s[credentials]\ntype = \"toml-shared\"\nuser = \"u\"\n%s\n", HEAD, NATS, credentials);

    TRY(file_write_atomic(path, text, strlen(text), mode, err));
    CHECK(chmod(path, mode) == 0, "chmod failed");
    *ret = TAKE_PTR(path);
    return 0;
}

FLEET_TEST(agent_config, password_comes_from_a_private_file)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;
    cleanup_free char *secret = text_format("%s/password", test->artefacts);
    cleanup_free char *line = text_format("password_file = \"%s\"", secret);
    cleanup_free char *path = NULL;
    cleanup_error struct error refused = ERROR_INIT;

    TRY(file_write_atomic(secret, "hidden\n", 7, 0600, err));
    TRY(write_config(test, line, 0644, &path, err));
    TRY(agent_config_load(path, &config, err));
    CHECK(text_equal(config->credentials->password, "hidden"), "another password");
    CHECK(chmod(secret, 0644) == 0, "chmod failed");
    agent_config_free(TAKE_PTR(config));
    CHECK(agent_config_load(path, &config, &refused) < 0, "a public password was accepted");
    cleanup_free char *text = error_text(&refused);
    CHECK(error_is(&refused, &auth_error_domain, AUTH_INSECURE_FILE), "another error: %s", text);
    CHECK(strstr(text, NAME ":8: credentials.password_file: ") != NULL, "no place in: %s", text);
    return 0;
}

FLEET_TEST(agent_config, inline_password_needs_a_private_file)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;
    cleanup_free char *path = NULL;

    TRY(write_config(test, "password = \"hidden\"", 0600, &path, err));
    TRY(agent_config_load(path, &config, err));
    agent_config_free(TAKE_PTR(config));
    CHECK(chmod(path, 0640) == 0, "chmod failed");
    CHECK_FAILS(agent_config_load(path, &config, err), auth_error_domain, AUTH_INSECURE_FILE);
    return 0;
}

FLEET_TEST(agent_config, key_file_must_be_private)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;
    cleanup_free char *key = text_format("%s/device.key", test->artefacts);
    cleanup_free char *text = text_format(HEAD NATS "cert_file = \"%s\"\nkey_file = \"%s\"\n", key, key);

    TRY(file_write_atomic(key, "key", 3, 0644, err));
    CHECK(chmod(key, 0644) == 0, "chmod failed");
    CHECK_FAILS(parse(text, &config, err), auth_error_domain, AUTH_INSECURE_FILE);
    CHECK(chmod(key, 0400) == 0, "chmod failed");
    TRY(parse(text, &config, err));
    return 0;
}

FLEET_TEST(agent_config, deep_nesting_is_refused)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;
    char text[2048] = "x = ";

    memset(text + 4, '[', 2000);
    CHECK_FAILS(parse(text, &config, err), config_error_domain, CONFIG_SYNTAX);
    return 0;
}
