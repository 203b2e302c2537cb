/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_config.h"
#include "kubernetes/kube_error.h"
#include "tests/fuzz/fuzz.h"

/* Where no file is: what a text names must not be read from this machine. */
#define NOWHERE "/nonexistent"

static void check_accepted(const struct kube_config *config)
{
    REQUIRE(text_starts_with(config->server, "https://") || text_starts_with(config->server, "http://"), "server %s",
            config->server);
    REQUIRE(!text_has_control(config->server), "controls in the URL");
    REQUIRE(config->namespace_name && *config->namespace_name, "no namespace");
    REQUIRE(!config->client_certificate == !config->client_key, "half a certificate");
    REQUIRE(!config->token || !text_has_control(config->token), "controls in the token");
    REQUIRE(config->exec.count == 0 || config->exec_api_version, "a plugin without a version");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(kube_config_free) struct kube_config *config = NULL;
    cleanup_error struct error refused = ERROR_INIT;

    if (kube_config_parse((const char *)data, size, NOWHERE, NULL, &config, &refused) == 0) {
        check_accepted(config);
        return 0;
    }
    REQUIRE(error_is(&refused, &kube_error_domain, KUBE_CONFIG), "the error is of another domain");
    REQUIRE(error_root_detail(&refused)[0] != '\0', "the error gives no reason");
    cleanup_free char *text = error_text(&refused);
    REQUIRE(text_is_utf8(text, strlen(text)), "the error is not UTF-8");
    return 0;
}
