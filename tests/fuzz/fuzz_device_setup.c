/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device tells FleetDeviceSetupScore: its answer to the one question, and an /etc/hosts of any content.
 */
#include "deploy/device_setup_facts.h"
#include "deploy/hosts_block.h"
#include "tests/fuzz/fuzz.h"

static void read_answer(const char *data, size_t size)
{
    cleanup_device_facts struct device_facts facts = {0};
    cleanup_error struct error refused = ERROR_INIT;
    size_t content = 0;

    if (device_facts_parse(data, size, &facts, &refused) < 0) {
        REQUIRE(error_is(&refused, &general_error_domain, GENERAL_FAILED), "the error is another one");
        REQUIRE(!facts.machine && facts.file_count == 0, "refused, but there are facts");
        return;
    }
    REQUIRE(facts.machine, "no machine");
    for (size_t i = 0; i < facts.file_count; i++) {
        const struct device_file *file = &facts.files[i];

        REQUIRE(file->regular == (file->data != NULL), "%s has content or has none", file->path);
        content += file->size;
    }
    REQUIRE(content <= size, "%zu bytes of content out of %zu", content, size);
}

static void edit_hosts(const char *data, size_t size)
{
    static const struct hosts_entry entries[] = {{"192.168.122.1", "nats"}, {"fd00::1", "registry"}};
    cleanup_error struct error refused = ERROR_INIT;
    cleanup_free char *once = NULL;
    cleanup_free char *twice = NULL;
    cleanup_free char *without = NULL;
    size_t once_size = 0;
    size_t twice_size = 0;
    size_t without_size = 0;

    if (hosts_block_replace(data, size, entries, 2, &once, &once_size, &refused) < 0) {
        REQUIRE(error_is(&refused, &general_error_domain, GENERAL_CONFLICT), "the error is another one");
        return;
    }
    REQUIRE(hosts_block_replace(once, once_size, entries, 2, &twice, &twice_size, &refused) == 0,
            "not the second time");
    REQUIRE(once_size == twice_size && memcmp(once, twice, once_size) == 0, "it changes each time");
    REQUIRE(hosts_block_replace(once, once_size, NULL, 0, &without, &without_size, &refused) == 0, "it stays");
    if (!memmem(data, size, HOSTS_BLOCK_BEGIN, strlen(HOSTS_BLOCK_BEGIN)))
        REQUIRE(without_size >= size && without_size <= size + 1 && memcmp(without, data, size) == 0,
                "what is not ours changed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_answer((const char *)data, size);
    edit_hosts((const char *)data, size);
    return 0;
}
