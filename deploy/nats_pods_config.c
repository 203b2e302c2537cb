/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The part of a FleetNatsScore that says how the server is configured in Pods, and the checks of what goes there.
 */

#include <stdlib.h>
#include <string.h>

#include "deploy/digest.h"
#include "deploy/kubernetes_manifest.h"
#include "deploy/nats_config.h"
#include "deploy/nats_manifests.h"

#define SYNC_ALWAYS     "always"
#define SYNC_DEFAULT    "10s" /* what is lost with the power, operator and agents say again */
#define QUANTITY_MAX    24
#define DURATION_MAX    24
#define NAME_MAX_SIZE   253
#define GRACE_MAX_S     3600
#define ROUTE_USER      "route"
#define CLUSTER_NAME    "fleet-nats"
#define NODE_PORT_LEAST 1

int nats_replicas(const struct fleet_nats_score *score)
{
    return score->replicas ? score->replicas : 1;
}

/** The number a text begins with, more than 0 where `positive` was given; the rest follows. NULL: there is none. */
static const char *skip_number(const char *text, bool *positive)
{
    size_t whole = strspn(text, "0123456789");
    size_t digits = whole;

    if (whole > 0 && text[whole] == '.') {
        size_t fraction = strspn(text + whole + 1, "0123456789");
        digits = fraction ? whole + 1 + fraction : 0;
    }
    if (digits == 0)
        return NULL;
    *positive = *positive || strcspn(text, "123456789") < digits;
    return text + digits;
}

/** A size. Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
static bool is_quantity(const char *text)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    bool positive = false;
    const char *unit = strlen(text) <= QUANTITY_MAX ? skip_number(text, &positive) : NULL;

    for (size_t i = 0; unit && positive && i < ARRAY_SIZE(units); i++)
        if (strcmp(unit, units[i]) == 0)
            return true;
    return false;
}

/** The unit a text begins with, as time.ParseDuration of Go has it; the rest follows. NULL: there is none. */
static const char *skip_unit(const char *text)
{
    static const char *const units[] = {"ns", "us", "ms", "s", "m", "h"};

    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (text_starts_with(text, units[i]))
            return text + strlen(units[i]);
    return NULL;
}

static bool is_duration(const char *text)
{
    bool positive = false;

    if (!*text || strlen(text) > DURATION_MAX)
        return false;
    while (text && *text) {
        text = skip_number(text, &positive);
        text = text ? skip_unit(text) : NULL;
    }
    return text && positive;
}

/** A name of an object, as RFC 1123 has those of hosts. */
static bool is_object_name(const char *text)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t size = strlen(text);

    return size > 0 && size <= NAME_MAX_SIZE && strspn(text, inner) == size && !strchr(".-", text[0]) &&
           !strchr(".-", text[size - 1]);
}

static int check_storage(const struct fleet_nats_score *score, struct error *err)
{
    if (score->storage && !is_quantity(score->storage))
        return score_refuse(err, FLEET_NATS_SCORE, "storage", "\"%s\" is not a size like 1Gi", score->storage);
    if (score->storage_class && !score->storage)
        return score_refuse(err, FLEET_NATS_SCORE, "storage_class", "it is of no use without storage, a size");
    if (score->storage_class && !is_object_name(score->storage_class))
        return score_refuse(err, FLEET_NATS_SCORE, "storage_class", "\"%s\" is not the name of one",
                            score->storage_class);
    return 0;
}

int nats_score_validate_on_kubernetes(const struct fleet_nats_score *score, struct error *err)
{
    if (kubernetes_check_image(FLEET_NATS_SCORE, score->image, err) < 0 || nats_score_check_users(score, err) < 0)
        return -1;
    if (score->replicas != 0 && score->replicas != 1 && score->replicas != NATS_CLUSTER_COUNT)
        return score_refuse(err, FLEET_NATS_SCORE, "replicas", "%d is neither 1 nor %d", score->replicas,
                            NATS_CLUSTER_COUNT);
    if (score->node_port != 0 && (score->node_port < NODE_PORT_LEAST || score->node_port > UINT16_MAX))
        return score_refuse(err, FLEET_NATS_SCORE, "node_port", "%d is not within %d and %d", score->node_port,
                            NODE_PORT_LEAST, UINT16_MAX);
    if (check_storage(score, err) < 0)
        return -1;
    if (score->sync_interval && strcmp(score->sync_interval, SYNC_ALWAYS) != 0 && !is_duration(score->sync_interval))
        return score_refuse(err, FLEET_NATS_SCORE, "sync_interval",
                            "\"%s\" is neither \"always\" nor a duration like 10s", score->sync_interval);
    if (score->termination_grace_s < 0 || score->termination_grace_s > GRACE_MAX_S)
        return score_refuse(err, FLEET_NATS_SCORE, "termination_grace_s", "%d is not within 0 and %d",
                            score->termination_grace_s, GRACE_MAX_S);
    return 0;
}

/**
 * What the servers of a cluster show each other: nobody else knows the admin's password, and nobody has to be told
 * another one. Not that password itself, since it is to be seen in what routes log.
 */
static void route_password(const struct fleet_nats_score *score, char ret[DIGEST_SIZE])
{
    cleanup_free char *text = text_format("route\n%s\n%s", score->admin.user, score->admin.password);

    digest_sha256(text, strlen(text), ret);
}

static void add_cluster(struct text_buffer *text, const struct fleet_nats_score *score, const struct text_list *routes,
                        size_t replica)
{
    char password[DIGEST_SIZE];

    route_password(score, password);
    text_buffer_format(text,
                       "cluster {\n  name: \"%s\"\n  port: %d\n"
                       "  authorization { user: \"%s\", password: \"%s\", timeout: 5 }\n  routes: [\n",
                       CLUSTER_NAME, NATS_ROUTES_PORT, ROUTE_USER, password);
    for (size_t i = 0; i < routes->count; i++)
        text_buffer_format(text, "    \"nats-route://%s:%s@%s:%d\"\n", ROUTE_USER, password,
                           i == replica ? "127.0.0.1" : routes->items[i], NATS_ROUTES_PORT);
    text_buffer_add(text, "  ]\n}\n");
}

char *nats_pods_config_text(const struct fleet_nats_score *score, const struct text_list *routes, size_t replica)
{
    struct text_buffer text = {0};

    text_buffer_add(&text, "# Written by FleetNatsScore. The next deployment replaces it.\nserver_name: $POD_NAME\n");
    text_buffer_format(&text, "port: %d\nhttp_port: %d\n", NATS_CLIENT_PORT, NATS_MONITOR_PORT);
    nats_config_add_limits(&text);
    /* How long a desired state that was acknowledged may be lost with the power is said here, not left to a default. */
    text_buffer_format(&text, "jetstream {\n  store_dir: \"/data/jetstream\"\n  sync_interval: %s\n}\n",
                       score->sync_interval ? score->sync_interval : SYNC_DEFAULT);
    nats_config_add_users(&text, score);
    if (routes->count > 0)
        add_cluster(&text, score, routes, replica);
    return text_buffer_take(&text);
}
