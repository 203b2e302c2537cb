/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config.h"
#include "contracts/names.h"
#include "tests/fuzz/fuzz.h"

#define NAME "agent-config.toml"

static void check_accepted(const struct agent_config *config)
{
    REQUIRE(token_is_valid(config->device_id), "device id \"%s\"", config->device_id);
    REQUIRE(config->nats_urls.count > 0, "no URL");
    REQUIRE(config->state_directory[0] == '/', "state directory \"%s\"", config->state_directory);
    REQUIRE(config->heartbeat_interval_ms >= 100, "heartbeat every %d ms", config->heartbeat_interval_ms);
    REQUIRE(config->reconcile_interval_ms >= 100, "reconcile every %d ms", config->reconcile_interval_ms);
    REQUIRE(!config->cert_file == !config->key_file, "half a certificate");
}

/** Whoever reads the error must find the place. */
static void check_refused(const struct error *refused)
{
    cleanup_free char *text = error_text(refused);

    REQUIRE(strncmp(text, "loading " NAME, strlen("loading " NAME)) == 0, "no place in: %s", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(agent_config_free) struct agent_config *config = NULL;
    cleanup_error struct error refused = ERROR_INIT;

    if (agent_config_parse(NAME, (const char *)data, size, &config, &refused) == 0)
        check_accepted(config);
    else
        check_refused(&refused);
    return 0;
}
