/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/nats_config.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "deploy/score_steps.h"

/*
 * A desired state may be 1 MiB (contracts/score.h) and is refused by the agent beyond that: the server must let a value
 * that is slightly too long through, so that it is reported as Failed instead of vanishing at the publisher. Twice the
 * limit is enough for that and keeps what one client can make the server buffer small.
 */
#define MAX_PAYLOAD (2 << 20)

#define LOOPBACK "127.0.0.1"

/*
 * What a device may publish. JetStream's API is listed call by call: "$JS.API.>" would let a device purge or delete
 * desired-state, which it must not even write. Buckets are made by this score's smoke check, never by a device.
 */
static const char *const device_publish[] = {
    "$KV.device-info.>",
    "$KV.device-state.>",
    "$KV.device-heartbeat.>",
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.INFO.*",
    "$JS.API.STREAM.MSG.GET.*",
    "$JS.API.DIRECT.GET.>",
    "$JS.API.CONSUMER.CREATE.>",
    "$JS.API.CONSUMER.DURABLE.CREATE.>",
    "$JS.API.CONSUMER.INFO.>",
    "$JS.API.CONSUMER.DELETE.>",
    "$JS.API.CONSUMER.MSG.NEXT.>",
    "$JS.ACK.>",
    "$JS.FC.>",
    "_INBOX.>",
};
static const char *const device_subscribe[] = {"device-commands.>", "_INBOX.>"};

/** The server takes what looks like a bcrypt hash for one, and then nobody could log in with the password itself. */
static bool looks_hashed(const char *password)
{
    return password[0] == '$' && password[1] == '2' && password[2] && strchr("abxy", password[2]) && password[3] == '$';
}

static int check_user(const char *field, const struct user_password *user, struct error *err)
{
    if (score_check_credentials(FLEET_NATS_SCORE, field, user, NULL, err) < 0)
        return -1;
    if (looks_hashed(user->password))
        return score_refuse(err, FLEET_NATS_SCORE, field,
                            "the password begins like a bcrypt hash, which nats-server would take it for");
    return 0;
}

static bool is_address(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

int nats_score_check_users(const struct fleet_nats_score *score, struct error *err)
{
    if (check_user("admin", &score->admin, err) < 0 || check_user("device", &score->device, err) < 0)
        return -1;
    if (strcmp(score->admin.user, score->device.user) == 0)
        return score_refuse(err, FLEET_NATS_SCORE, "device", "it must be another user than the admin");
    return 0;
}

int nats_score_validate(const struct fleet_nats_score *score, struct error *err)
{
    if (score_check_program(FLEET_NATS_SCORE, "server_program", score->server_program, err) < 0 ||
        score_check_path(FLEET_NATS_SCORE, "directory", score->directory, err) < 0 ||
        nats_score_check_users(score, err) < 0)
        return -1;
    if (score->port < 0 || score->port > UINT16_MAX)
        return score_refuse(err, FLEET_NATS_SCORE, "port", "%d is not within 0 and %d", score->port, UINT16_MAX);
    if (score->listen_address && !is_address(score->listen_address))
        return score_refuse(err, FLEET_NATS_SCORE, "listen_address", "\"%s\" is not an IP address",
                            score->listen_address);
    return 0;
}

const char *nats_connect_address(const struct fleet_nats_score *score)
{
    bool any = score->listen_address &&
               (strcmp(score->listen_address, "0.0.0.0") == 0 || strcmp(score->listen_address, "::") == 0);

    return score->listen_address && !any ? score->listen_address : LOOPBACK;
}

/** A value in quotes, between two pieces of text. */
static void add_member(struct text_buffer *text, const char *before, const char *value, const char *after)
{
    text_buffer_add(text, before);
    text_buffer_quote(text, value);
    text_buffer_add(text, after);
}

static void add_subjects(struct text_buffer *text, const char *action, const char *const *subjects, size_t count)
{
    text_buffer_format(text, "        %s: { allow: [\n", action);
    for (size_t i = 0; i < count; i++)
        add_member(text, "          ", subjects[i], "\n");
    text_buffer_add(text, "        ] }\n");
}

void nats_config_add_limits(struct text_buffer *text)
{
    text_buffer_format(text, "max_payload: %d\n", MAX_PAYLOAD);
}

void nats_config_add_users(struct text_buffer *text, const struct fleet_nats_score *score)
{
    text_buffer_add(text, "authorization {\n  users: [\n");
    add_member(text, "    { user: ", score->admin.user, ", ");
    add_member(text, "password: ", score->admin.password, " }\n");
    add_member(text, "    { user: ", score->device.user, ", ");
    add_member(text, "password: ", score->device.password, ",\n      permissions: {\n");
    add_subjects(text, "publish", device_publish, ARRAY_SIZE(device_publish));
    add_subjects(text, "subscribe", device_subscribe, ARRAY_SIZE(device_subscribe));
    /* Whatever inbox an operator's client uses, its request may be answered. */
    text_buffer_add(text, "        allow_responses: true\n      }\n    }\n  ]\n}\n");
}

char *nats_config_text(const struct fleet_nats_score *score, int port)
{
    struct text_buffer text = {0};
    cleanup_free char *store = text_format("%s/jetstream", score->directory);

    text_buffer_add(&text,
                    "# Written by FleetNatsScore. The next deployment replaces it.\nserver_name: \"fleet-nats\"\n");
    add_member(&text, "host: ", score->listen_address ? score->listen_address : LOOPBACK, "\n");
    text_buffer_format(&text, "port: %d\n", port);
    nats_config_add_limits(&text);
    /*
     * JetStream's own sync interval (two minutes) is kept: a value survives the server's death at once, since the kernel
     * has it, and a power cut costs what agents report again anyway and what an operator writes again when it differs.
     */
    add_member(&text, "jetstream {\n  store_dir: ", store, "\n}\n");
    nats_config_add_users(&text, score);
    return text_buffer_take(&text);
}
