/* SPDX-License-Identifier: Apache-2.0 */
#include "contracts/score.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "contracts/codec.h"
#include "contracts/score_codec.h"

const char *restart_policy_name(enum restart_policy policy)
{
    switch (policy) {
    case RESTART_UNLESS_STOPPED:
        return "unless-stopped";
    case RESTART_ALWAYS:
        return "always";
    case RESTART_ON_FAILURE:
        return "on-failure";
    case RESTART_NO:
        return "no";
    }
    return "unknown";
}

static int check_type(const struct json_cursor *root, struct error *err)
{
    struct json_cursor member;
    cleanup_free char *type = NULL;

    if (json_member(root, "type", &member, err) < 0 || json_string(&member, SCORE_TEXT_MAX, &type, err) < 0)
        return -1;
    if (strcmp(type, SCORE_TYPE_PODMAN_V0) == 0)
        return 0;
    cleanup_free char *shown = text_excerpt(type);
    return codec_refuse(err, WIRE_UNKNOWN_TYPE, "$.type", "\"%s\" is not a score type this version knows (%s)", shown,
                        SCORE_TYPE_PODMAN_V0);
}

static int take_score(const cJSON *document, struct score *score, struct error *err)
{
    struct json_cursor root = json_root(document);
    struct json_cursor data;

    if (check_type(&root, err) < 0 || json_member(&root, "data", &data, err) < 0)
        return -1;
    score->type = SCORE_PODMAN_V0;
    if (podman_v0_take(&data, &score->podman, err) < 0)
        return -1;
    return score_check(&score->podman, err);
}

int score_decode(const char *data, size_t size, struct score **ret, struct error *err)
{
    CLEANUP(score_free) struct score *score = NEW(struct score);
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (codec_parse(data, size, SCORE_VALUE_MAX, &document, err) < 0 || take_score(document, score, err) < 0)
        return codec_error(err, "decoding a score");
    *ret = TAKE_PTR(score);
    return 0;
}

static int print_score(const struct score *score, char **ret, struct error *err)
{
    CLEANUP(cJSON_Delete) cJSON *document = NULL;

    if (score_build(score, &document, err) < 0)
        return -1;
    *ret = json_print(document);
    return 0;
}

int score_encode(const struct score *score, char **ret, struct error *err)
{
    cleanup_free char *draft = NULL;
    CLEANUP(score_free) struct score *canonical = NULL;

    if (print_score(score, &draft, err) < 0 || score_decode(draft, strlen(draft), &canonical, err) < 0 ||
        print_score(canonical, ret, err) < 0)
        return error_wrap(err, "encoding a score", NULL);
    return 0;
}

static void container_clear(struct container_spec *container)
{
    free(container->name);
    free(container->image);
    text_list_clear(&container->args);
    for (size_t i = 0; i < container->environment_count; i++) {
        free(container->environment[i].name);
        free(container->environment[i].value);
    }
    free(container->environment);
    for (size_t i = 0; i < container->port_count; i++)
        port_mapping_clear(&container->ports[i]);
    free(container->ports);
    for (size_t i = 0; i < container->volume_count; i++)
        volume_mount_clear(&container->volumes[i]);
    free(container->volumes);
    text_list_clear(&container->health.command);
}

void score_free(struct score *score)
{
    if (!score)
        return;
    for (size_t i = 0; i < score->podman.service_count; i++)
        container_clear(&score->podman.services[i]);
    free(score->podman.services);
    for (size_t i = 0; i < score->podman.init_container_count; i++)
        container_clear(&score->podman.init_containers[i]);
    free(score->podman.init_containers);
    free(score);
}
