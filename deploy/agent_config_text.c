/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/agent_config_text.h"

#include <string.h>
#include <sys/un.h>

#include "base/text.h"
#include "deploy/score_steps.h"

#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 86400000
#define URL_MAX         512

static int check_labels(const struct fleet_agent_score *score, struct error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-";

    if (score->label_count > DEVICE_LABELS_MAX)
        return score_refuse(err, FLEET_AGENT_SCORE, "labels", "%zu are more than %d", score->label_count,
                            DEVICE_LABELS_MAX);
    for (size_t i = 0; i < score->label_count; i++) {
        const struct device_label *label = &score->labels[i];
        size_t size = label->key ? strlen(label->key) : 0;

        if (size < 1 || size > DEVICE_LABEL_MAX || strspn(label->key, allowed) != size)
            return score_refuse(err, FLEET_AGENT_SCORE, "labels",
                                "\"%s\" is not a label's key: 1 to %d of A-Z, a-z, 0-9, '.', '_', '/' and '-'",
                                label->key ? label->key : "", DEVICE_LABEL_MAX);
        if (!label->value || strlen(label->value) > DEVICE_LABEL_MAX || text_has_control(label->value))
            return score_refuse(err, FLEET_AGENT_SCORE, "labels", "the value of %s is not 0 to %d printable bytes",
                                label->key, DEVICE_LABEL_MAX);
    }
    return 0;
}

static int check_interval(const char *field, int milliseconds, struct error *err)
{
    if (milliseconds != 0 && (milliseconds < INTERVAL_MIN_MS || milliseconds > INTERVAL_MAX_MS))
        return score_refuse(err, FLEET_AGENT_SCORE, field, "%d ms is not within %d and %d", milliseconds,
                            INTERVAL_MIN_MS, INTERVAL_MAX_MS);
    return 0;
}

int agent_score_check_url(const char *field, const char *url, struct error *err)
{
    if (!url || strlen(url) > URL_MAX || strpbrk(url, "@ ") || text_has_control(url) ||
        (!text_starts_with(url, "nats://") && !text_starts_with(url, "tls://")))
        return score_refuse(err, FLEET_AGENT_SCORE, field,
                            "it must be nats:// or tls:// and a host, without credentials, of at most %d bytes",
                            URL_MAX);
    return 0;
}

static int check_podman(const struct fleet_agent_score *score, struct error *err)
{
    static const struct sockaddr_un *const address = NULL;

    if (!score->runtime_enabled)
        return 0;
    if (score_check_path(FLEET_AGENT_SCORE, "podman_socket", score->podman_socket, err) < 0)
        return -1;
    if (strlen(score->podman_socket) >= sizeof(address->sun_path))
        return score_refuse(err, FLEET_AGENT_SCORE, "podman_socket", "it is longer than a socket's path may be");
    return 0;
}

int agent_score_check_config(const struct fleet_agent_score *score, struct error *err)
{
    if (!token_is_valid(score->device_id))
        return score_refuse(err, FLEET_AGENT_SCORE, "device_id", "\"%s\" is not 1 to %d of A-Z, a-z, 0-9, '_' and '-'",
                            score->device_id ? score->device_id : "", TOKEN_MAX);
    if (score_check_credentials(FLEET_AGENT_SCORE, "credentials", &score->credentials, NULL, err) < 0 ||
        (score->smoke_check.user &&
         score_check_credentials(FLEET_AGENT_SCORE, "smoke_check", &score->smoke_check, NULL, err) < 0))
        return -1;
    if (check_labels(score, err) < 0 || agent_score_check_url("nats_url", score->nats_url, err) < 0)
        return -1;
    if (check_interval("heartbeat_interval_ms", score->heartbeat_interval_ms, err) < 0)
        return -1;
    return check_interval("reconcile_interval_ms", score->reconcile_interval_ms, err);
}

int agent_score_validate(const struct fleet_agent_score *score, struct error *err)
{
    if (score_check_program(FLEET_AGENT_SCORE, "agent_program", score->agent_program, err) < 0 ||
        score_check_path(FLEET_AGENT_SCORE, "directory", score->directory, err) < 0 ||
        agent_score_check_config(score, err) < 0)
        return -1;
    return check_podman(score, err);
}

/** `key = "value"`; what was validated has no control characters (TOML 1.0, Strings). */
static void add_text(struct text_buffer *text, const char *before, const char *value, const char *after)
{
    text_buffer_add(text, before);
    text_buffer_quote(text, value);
    text_buffer_add(text, after);
}

static void add_interval(struct text_buffer *text, const char *key, int milliseconds)
{
    if (milliseconds)
        text_buffer_format(text, "%s = %d.%03d\n", key, milliseconds / 1000, milliseconds % 1000);
}

char *agent_config_text(const struct fleet_agent_score *score, const char *state_directory, const char *password_file)
{
    struct text_buffer text = {0};

    text_buffer_add(&text, "# Written by FleetAgentScore. The next deployment replaces it.\n[agent]\n");
    add_text(&text, "device_id = ", score->device_id, "\n");
    text_buffer_format(&text, "runtime_enabled = %s\n", score->runtime_enabled ? "true" : "false");
    add_text(&text, "state_directory = ", state_directory, "\n");
    add_interval(&text, "heartbeat_interval_s", score->heartbeat_interval_ms);
    add_interval(&text, "reconcile_interval_s", score->reconcile_interval_ms);
    if (score->label_count)
        text_buffer_add(&text, "\n[labels]\n");
    for (size_t i = 0; i < score->label_count; i++) {
        add_text(&text, "", score->labels[i].key, " = ");
        add_text(&text, "", score->labels[i].value, "\n");
    }
    add_text(&text, "\n[nats]\nurls = [", score->nats_url, "]\n");
    add_text(&text, "\n[credentials]\ntype = \"toml-shared\"\nuser = ", score->credentials.user, "\n");
    add_text(&text, "password_file = ", password_file, "\n");
    if (score->runtime_enabled)
        add_text(&text, "\n[podman]\nsocket = ", score->podman_socket, "\n");
    return text_buffer_take(&text);
}
