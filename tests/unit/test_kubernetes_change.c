/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/kubernetes_change.h"

#include <string.h>

#include "base/json.h"
#include "harness/test.h"

static int parse(const char *text, cJSON **ret, struct error *err)
{
    return json_parse(text, strlen(text), ret, err);
}

/** The lines for two states, joined by "; ". */
static int lines_between(const char *before_text, const char *after_text, bool *changed, char **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *before = NULL;
    CLEANUP(cJSON_Delete) cJSON *after = NULL;
    cleanup_text_list struct text_list changes = {0};

    if (parse(before_text, &before, err) < 0 || parse(after_text, &after, err) < 0)
        return -1;
    *changed = kubernetes_change(before, after, &changes);
    *ret = text_list_join(&changes, "; ");
    return 0;
}

FLEET_TEST(kubernetes_change, names_each_field)
{
    static const struct {
        const char *before;
        const char *after;
        const char *lines;
    } cases[] = {
        {"{\"spec\":{\"replicas\":1}}", "{\"spec\":{\"replicas\":3}}", "spec.replicas: 1 -> 3"},
        {"{\"a\":{}}", "{\"a\":{\"b\":\"x\"}}", "a.b: (none) -> \"x\""},
        {"{\"a\":{\"b\":\"x\"}}", "{\"a\":{}}", "a.b: \"x\" -> (none)"},
        {"{\"a\":[{\"image\":\"x:1\"}]}", "{\"a\":[{\"image\":\"x:2\"}]}", "a[0].image: \"x:1\" -> \"x:2\""},
        {"{\"a\":[1]}", "{\"a\":[1,2]}", "a[1]: (none) -> 2"},
        {"{\"a\":[1,2]}", "{\"a\":[1]}", "a[1]: 2 -> (none)"},
        {"{\"a\":{\"b\":1}}", "{\"a\":\"b\"}", "a: {\"b\":1} -> \"b\""},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_free char *lines = NULL;
        bool changed = false;

        TRY(lines_between(cases[i].before, cases[i].after, &changed, &lines, err));
        CHECK(changed && text_equal(lines, cases[i].lines), "case %zu: %s", i, lines);
    }
    return 0;
}

FLEET_TEST(kubernetes_change, what_the_server_keeps_does_not_count)
{
    cleanup_free char *lines = NULL;
    bool changed = true;

    TRY(lines_between("{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"1\",\"generation\":1,\"managedFields\":[]},"
                      "\"status\":{\"ready\":1}}",
                      "{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"2\",\"generation\":2,\"uid\":\"u\"},"
                      "\"status\":{\"ready\":2}}",
                      &changed, &lines, err));
    CHECK(!changed && lines[0] == '\0', "it was told: %s", lines);
    return 0;
}

FLEET_TEST(kubernetes_change, secrets_are_not_shown)
{
    cleanup_free char *lines = NULL;
    bool changed = false;

    TRY(lines_between("{\"kind\":\"Secret\",\"data\":{\"password\":\"b2xk\"}}",
                      "{\"kind\":\"Secret\",\"data\":{\"password\":\"bmV3\",\"more\":\"bmV3\"}}", &changed, &lines,
                      err));
    CHECK(changed && strstr(lines, "data.password") && strstr(lines, "data.more"), "%s", lines);
    CHECK(!strstr(lines, "b2xk") && !strstr(lines, "bmV3"), "a secret is in: %s", lines);
    return 0;
}

FLEET_TEST(kubernetes_change, lines_are_few_and_short)
{
    CLEANUP(cJSON_Delete) cJSON *before = cJSON_CreateObject();
    CLEANUP(cJSON_Delete) cJSON *after = cJSON_CreateObject();
    cleanup_text_list struct text_list changes = {0};

    for (int i = 0; i < 1000; i++) {
        cleanup_free char *key = text_format("key%d", i);
        cleanup_free char *value = text_format("%01000d", i);
        json_add_text(after, key, value);
    }
    CHECK(kubernetes_change(before, after, &changes), "nothing differs");
    CHECK(changes.count == 12, "there are %zu lines", changes.count);
    for (size_t i = 0; i < changes.count; i++)
        CHECK(strlen(changes.items[i]) < 200, "a line has %zu bytes", strlen(changes.items[i]));
    CHECK(kubernetes_change(NULL, after, NULL), "a new object is no change");
    return 0;
}
