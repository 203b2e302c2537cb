/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device_facts.h"

#include <string.h>

#include "harness/test.h"

struct release {
    const char *text;
    const char *name; /* NULL: it has none */
};

FLEET_TEST(device_facts, pretty_name_is_unquoted)
{
    static const struct release releases[] = {
        {"NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n", "Debian GNU/Linux 12 (bookworm)"},
        {"PRETTY_NAME='Alpine'\n", "Alpine"},
        {"PRETTY_NAME=Plain", "Plain"},
        {"PRETTY_NAME=\"a \\\"b\\\" c\"\n", "a \"b\" c"},
        {"PRETTY_NAME=\"open", "open"},
        {"PRETTY_NAME=\"", ""},
        {"XPRETTY_NAME=no\n", NULL},
        {"", NULL},
        {"PRETTY_NAME=", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(releases); i++) {
        cleanup_free char *name = os_release_pretty_name(releases[i].text);

        CHECK(text_equal(name, releases[i].name), "%zu: \"%s\"", i, name ? name : "(none)");
    }
    return 0;
}

FLEET_TEST(device_facts, describe_this_machine)
{
    struct device_label labels[] = {{(char *)"site", (char *)"berlin"}};
    struct agent_config config = {.device_id = (char *)"pi-01", .labels = labels, .label_count = 1};
    CLEANUP(device_info_free) struct device_info *info = device_facts(&config, "1.2.3", NULL);
    CLEANUP(device_info_free) struct device_info *decoded = NULL;
    cleanup_free char *text = NULL;

    TRY(device_info_encode(info, &text, err));
    TRY(device_info_decode(text, strlen(text), &decoded, err));
    CHECK(text_equal(decoded->device_id, "pi-01") && text_equal(decoded->agent_version, "1.2.3"), "%s", text);
    CHECK(decoded->label_count == 1 && text_equal(decoded->labels[0].value, "berlin"), "%s", text);
    CHECK(decoded->inventory.cpus > 0 && decoded->inventory.memory_kb > 1024, "%s", text);
    CHECK(decoded->inventory.container_runtime == NULL, "%s", text);
    CHECK(strlen(decoded->os) > 0 && strlen(decoded->arch) > 0, "%s", text);
    return 0;
}
