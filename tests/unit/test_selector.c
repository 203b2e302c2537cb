/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/selector.h"

#include <string.h>

#include "base/text.h"
#include "harness/test.h"

static const struct device_label labels[] = {
    {(char *)"arch", (char *)"arm64"}, {(char *)"empty", (char *)""}, {(char *)"site", (char *)"berlin"}};

/** Does {"selector": <text>} match the labels above? 1, 0, or -1 when it is refused. */
static int match(const char *text, struct error *err)
{
    cleanup_free char *document = text_format("{\"selector\":%s}", text);
    CLEANUP(selector_free) struct selector *selector = NULL;
    CLEANUP(cJSON_Delete) cJSON *value = NULL;
    struct json_cursor cursor;

    if (json_parse(document, strlen(document), &value, err) < 0)
        return -1;
    struct json_cursor root = json_root(value);
    if (json_optional(&root, "selector", &cursor, err) < 0 || selector_parse(&cursor, &selector, err) < 0)
        return -1;
    return selector_matches(selector, labels, ARRAY_SIZE(labels));
}

/** A selector and whether it is to match. */
struct selector_case {
    const char *text;
    int matches;
};

FLEET_TEST(selector, matches_as_kubernetes_does)
{
    static const struct selector_case cases[] = {
        {"null", 0},
        {"{}", 1},
        {"{\"matchLabels\":{},\"matchExpressions\":[]}", 1},
        {"{\"matchLabels\":null}", 1},
        {"{\"matchLabels\":{\"site\":\"berlin\"}}", 1},
        {"{\"matchLabels\":{\"site\":\"berlin\",\"arch\":\"arm64\"}}", 1},
        {"{\"matchLabels\":{\"site\":\"berlin\",\"arch\":\"amd64\"}}", 0},
        {"{\"matchLabels\":{\"site\":\"Berlin\"}}", 0},
        {"{\"matchLabels\":{\"absent\":\"\"}}", 0},
        {"{\"matchLabels\":{\"empty\":\"\"}}", 1},
        {"{\"matchExpressions\":[{\"key\":\"site\",\"operator\":\"In\",\"values\":[\"rome\",\"berlin\"]}]}", 1},
        {"{\"matchExpressions\":[{\"key\":\"site\",\"operator\":\"In\",\"values\":[\"rome\"]}]}", 0},
        {"{\"matchExpressions\":[{\"key\":\"absent\",\"operator\":\"In\",\"values\":[\"\"]}]}", 0},
        {"{\"matchExpressions\":[{\"key\":\"site\",\"operator\":\"NotIn\",\"values\":[\"rome\"]}]}", 1},
        {"{\"matchExpressions\":[{\"key\":\"site\",\"operator\":\"NotIn\",\"values\":[\"berlin\"]}]}", 0},
        {"{\"matchExpressions\":[{\"key\":\"absent\",\"operator\":\"NotIn\",\"values\":[\"x\"]}]}", 1},
        {"{\"matchExpressions\":[{\"key\":\"empty\",\"operator\":\"Exists\"}]}", 1},
        {"{\"matchExpressions\":[{\"key\":\"absent\",\"operator\":\"Exists\",\"values\":[]}]}", 0},
        {"{\"matchExpressions\":[{\"key\":\"absent\",\"operator\":\"DoesNotExist\"}]}", 1},
        {"{\"matchExpressions\":[{\"key\":\"arch\",\"operator\":\"DoesNotExist\"}]}", 0},
        {"{\"matchLabels\":{\"site\":\"berlin\"},\"matchExpressions\":[{\"key\":\"arch\",\"operator\":\"NotIn\","
         "\"values\":[\"arm64\"]}]}",
         0},
        {"{\"somethingNewer\":1}", 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int matches = match(cases[i].text, err);

        TRY(matches);
        CHECK(matches == cases[i].matches, "%s: %d", cases[i].text, matches);
    }
    return 0;
}

/** A selector and the field its refusal names. */
struct refusal_case {
    const char *text;
    const char *field;
};

FLEET_TEST(selector, refusal_names_the_field)
{
    static const struct refusal_case cases[] = {
        {"7", "$.selector"},
        {"[]", "$.selector"},
        {"{\"matchLabels\":[]}", "$.selector.matchLabels"},
        {"{\"matchLabels\":{\"a\":1}}", "$.selector.matchLabels.a"},
        {"{\"matchLabels\":{\"\":\"b\"}}", "$.selector.matchLabels[\"\"]"},
        {"{\"matchExpressions\":{}}", "$.selector.matchExpressions"},
        {"{\"matchExpressions\":[3]}", "$.selector.matchExpressions[0]"},
        {"{\"matchExpressions\":[{\"operator\":\"Exists\"}]}", "$.selector.matchExpressions[0].key"},
        {"{\"matchExpressions\":[{\"key\":\"a\"}]}", "$.selector.matchExpressions[0].operator"},
        {"{\"matchExpressions\":[{\"key\":\"\",\"operator\":\"Exists\"}]}", "$.selector.matchExpressions[0].key"},
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Gt\",\"values\":[\"1\"]}]}",
         "$.selector.matchExpressions[0].operator"},
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[]}]}",
         "$.selector.matchExpressions[0].values"},
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\"}]}", "$.selector.matchExpressions[0]"},
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\",\"values\":[\"x\"]}]}",
         "$.selector.matchExpressions[0].values"},
        {"{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\",\"values\":[null]}]}",
         "$.selector.matchExpressions[0].values[0]"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        cleanup_error struct error refused = ERROR_INIT;
        int matches = match(cases[i].text, &refused);

        CHECK(matches < 0 && refused.domain == &json_error_domain, "%s: not refused", cases[i].text);
        CHECK(text_equal(refused.subject, cases[i].field), "%s: %s", cases[i].text, refused.subject);
    }
    return 0;
}
