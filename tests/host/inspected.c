/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/host/inspected.h"

#include "base/json.h"
#include "harness/test.h"

int expect_reported_container(const struct device_state *state, const struct podman_container_list *list,
                              const char *image, struct error *err)
{
    CHECK(state->container_count == 1, "KV reports %zu containers", state->container_count);
    CHECK(text_equal(state->containers[0].name, "web"), "KV calls it %s", state->containers[0].name);
    CHECK(text_equal(state->containers[0].id, list->items[0].id), "KV has id %s, podman %s", state->containers[0].id,
          list->items[0].id);
    CHECK(text_equal(list->items[0].image, image), "podman runs %s", list->items[0].image);
    CHECK(state->error == NULL, "Running with error %s", state->error);
    return 0;
}

/** One member of `podman inspect`'s Config.Env. */
static bool has_variable(const cJSON *inspected, const char *variable)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(inspected, "Config");
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(config, "Env")) {
        if (text_equal(cJSON_GetStringValue(item), variable))
            return true;
    }
    return false;
}

/** The mount at `destination`, or NULL. */
static const cJSON *find_mount(const cJSON *inspected, const char *destination)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(inspected, "Mounts")) {
        if (text_equal(json_text_or(item, "Destination", NULL), destination))
            return item;
    }
    return NULL;
}

int expect_inspected_state(const cJSON *inspected, const char *directory, const char *volume, struct error *err)
{
    CHECK(has_variable(inspected, "GREETING=hello = \"fleet\""), "GREETING did not arrive");
    CHECK(has_variable(inspected, "REGION=eu"), "REGION did not arrive");
    const cJSON *data = find_mount(inspected, "/data");
    CHECK(data != NULL, "nothing is mounted at /data");
    CHECK(text_equal(json_text_or(data, "Source", NULL), directory), "/data is not the directory");
    CHECK(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(data, "RW")), "/data is writable");
    const cJSON *cache = find_mount(inspected, "/cache");
    CHECK(cache != NULL, "nothing is mounted at /cache");
    CHECK(text_equal(json_text_or(cache, "Name", NULL), volume), "/cache is not the volume");
    return 0;
}
