/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulator/device.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "contracts/commands.h"
#include "contracts/score.h"
#include "messaging/headers.h"

#define STREAM         "KV_" BUCKET_DESIRED_STATE
#define SUBJECT_PREFIX "$KV." BUCKET_DESIRED_STATE "."

#define IDLE_HEARTBEAT_NS 5000000000 /* as in a watch of nats.c's */

struct simulated_deployment {
    char name[TOKEN_MAX + 1];
    uint64_t revision;
};

struct simulated_device {
    struct wire *wire;
    const struct device_behaviour *behaviour;
    char *id;
    char *agent_version;
    char *info;
    bool fails;
    struct wire_subject command_subject;
    int64_t started_ms;
    natsSubscription *commands;
    natsSubscription *watch;
    bool up;

    pthread_mutex_t mutex; /* what follows; held while writing, so that states come in their order */
    struct simulated_deployment *deployments;
    size_t deployment_count;
    bool withdrawn;
};

int simulated_device_new(struct wire *wire, const struct device_behaviour *behaviour, size_t number,
                         const struct device_info *info, struct simulated_device **ret, struct error *err)
{
    cleanup_free char *value = NULL;
    struct wire_subject subject;

    if (command_subscription(info->device_id, &subject, err) < 0 || device_info_encode(info, &value, err) < 0)
        return -1;
    struct simulated_device *device = NEW(struct simulated_device);
    device->wire = wire;
    device->behaviour = behaviour;
    device->id = text_copy(info->device_id);
    device->agent_version = text_copy(info->agent_version);
    device->info = TAKE_PTR(value);
    device->fails = (int)(number % 100) < behaviour->failed_percent;
    device->command_subject = subject;
    device->started_ms = clock_monotonic_ms();
    pthread_mutex_init(&device->mutex, NULL);
    *ret = device;
    return 0;
}

static int64_t uptime_s(const struct simulated_device *device)
{
    return (clock_monotonic_ms() - device->started_ms) / 1000;
}

/** Nobody could do anything about a failure: the connection is gone, and counts tell. */
static void write_key(struct simulated_device *device, const char *bucket, const char *key, const char *value)
{
    cleanup_error struct error failure = ERROR_INIT;

    if (wire_write(device->wire, bucket, key, value, &failure) < 0)
        log_trouble("key not written", &failure);
}

/* Device states. Called with the mutex held. */

static struct simulated_deployment *find(struct simulated_device *device, const char *name)
{
    for (size_t i = 0; i < device->deployment_count; i++) {
        if (strcmp(device->deployments[i].name, name) == 0)
            return &device->deployments[i];
    }
    return NULL;
}

/** @param error  NULL unless it Failed */
static void write_state(struct simulated_device *device, const struct simulated_deployment *deployment,
                        enum deployment_phase phase, const char *error)
{
    struct device_state state = {.phase = phase, .revision = deployment->revision, .error = (char *)error};
    cleanup_error struct error impossible = ERROR_INIT;
    cleanup_free char *value = NULL;
    struct wire_key key;

    clock_rfc3339(state.since);
    if (device_state_encode(&state, &value, &impossible) < 0 ||
        device_state_key(device->id, deployment->name, &key, &impossible) < 0) {
        log_failure("a state cannot be written", &impossible);
        return;
    }
    write_key(device, BUCKET_DEVICE_STATE, key.text, value);
    COUNT(device->wire->options.counts->states);
}

static void write_end(struct simulated_device *device, const struct simulated_deployment *deployment)
{
    if (device->fails)
        write_state(device, deployment, PHASE_FAILED, "simulated: every deployment fails on this device");
    else
        write_state(device, deployment, PHASE_RUNNING, NULL);
}

static void delete_state(struct simulated_device *device, const struct simulated_deployment *deployment)
{
    cleanup_error struct error impossible = ERROR_INIT;
    struct wire_key key;

    if (device_state_key(device->id, deployment->name, &key, &impossible) < 0)
        return; /* the name came from such a key */
    write_key(device, BUCKET_DEVICE_STATE, key.text, NULL);
    COUNT(device->wire->options.counts->states);
}

static void take_put(struct simulated_device *device, const char *name, uint64_t revision, natsMsg *message)
{
    CLEANUP(score_free) struct score *score = NULL;
    cleanup_error struct error refused = ERROR_INIT;
    struct simulated_deployment *deployment = find(device, name);
    const char *data = natsMsg_GetData(message);

    if (deployment && deployment->revision >= revision)
        return; /* read again after a reconnect */
    if (!deployment) {
        device->deployments =
            memory_resize(device->deployments, device->deployment_count + 1, sizeof(*device->deployments));
        deployment = &device->deployments[device->deployment_count++];
        snprintf(deployment->name, sizeof(deployment->name), "%s", name);
    }
    deployment->revision = revision;
    COUNT(device->wire->options.counts->desired);
    if (score_decode(data ? data : "", (size_t)natsMsg_GetDataLength(message), &score, &refused) < 0) {
        write_state(device, deployment, PHASE_FAILED, error_root_detail(&refused));
    } else if (device->behaviour->delay_ms > 0) {
        write_state(device, deployment, PHASE_PENDING, NULL);
        device->behaviour->later(device->behaviour->context, device, name, revision);
    } else {
        write_end(device, deployment);
    }
}

static void take_deletion(struct simulated_device *device, const char *name)
{
    struct simulated_deployment *deployment = find(device, name);

    if (!deployment)
        return;
    delete_state(device, deployment);
    *deployment = device->deployments[--device->deployment_count];
    COUNT(device->wire->options.counts->removed);
}

void simulated_device_answer(struct simulated_device *device, const char *deployment_name, uint64_t revision)
{
    pthread_mutex_lock(&device->mutex);
    const struct simulated_deployment *deployment = find(device, deployment_name);
    if (!device->withdrawn && deployment && deployment->revision == revision)
        write_end(device, deployment);
    pthread_mutex_unlock(&device->mutex);
}

/* What comes from NATS. */

/** Where a message of a consumer's stands in its stream, which is in its reply subject. */
struct position {
    uint64_t revision;
    int64_t stored_ns; /* since the epoch */
};

/**
 * "$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<of consumer>.<ns>.<pending>", with domain and account hash after
 * "$JS.ACK" where there is more (NATS ADR-15). False for anything else.
 */
static bool parse_position(const char *reply, struct position *ret)
{
    const char *tokens[12];
    size_t count = 0;

    if (!reply || !text_starts_with(reply, "$JS.ACK."))
        return false;
    for (const char *token = reply; token && count < ARRAY_SIZE(tokens); count++) {
        const char *dot = strchr(token, '.');

        tokens[count] = token;
        token = dot ? dot + 1 : NULL;
    }
    size_t shift = count >= 11 ? 2 : 0;
    if (count < 9)
        return false;
    *ret = (struct position){strtoull(tokens[5 + shift], NULL, 10), strtoll(tokens[7 + shift], NULL, 10)};
    return true;
}

static void count_age(const struct simulated_device *device, int64_t stored_ns)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age_us = ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec - stored_ns) / 1000;
    latency_add(&device->wire->options.counts->desired_age, age_us);
}

static void take_desired(struct simulated_device *device, natsMsg *message)
{
    const char *subject = natsMsg_GetSubject(message);
    cleanup_error struct error refused = ERROR_INIT;
    struct wire_target target;
    struct position position;

    if (!parse_position(natsMsg_GetReply(message), &position) || !text_starts_with(subject, SUBJECT_PREFIX) ||
        desired_state_key_parse(subject + strlen(SUBJECT_PREFIX), &target, &refused) < 0)
        return;
    if (message_header(message, "KV-Operation")) {
        take_deletion(device, target.deployment);
        return;
    }
    count_age(device, position.stored_ns);
    take_put(device, target.deployment, position.revision, message);
}

static void on_desired(natsConnection *connection, natsSubscription *subscription __attribute__((unused)),
                       natsMsg *message, void *closure)
{
    struct simulated_device *device = closure;
    const char *reply = natsMsg_GetReply(message);

    if (reply && text_starts_with(reply, "$JS.FC.")) { /* flow control: the server waits for this answer */
        natsStatus status = natsConnection_Publish(connection, reply, NULL, 0);
        if (status != NATS_OK)
            log_debug("flow control not answered", LOG_TEXT("status", natsStatus_GetText(status)));
    } else {
        pthread_mutex_lock(&device->mutex);
        if (!device->withdrawn)
            take_desired(device, message);
        pthread_mutex_unlock(&device->mutex);
    }
    natsMsg_Destroy(message);
}

static char *make_reply(const struct simulated_device *device, natsMsg *message)
{
    struct ping_reply ping = {device->id, device->agent_version, uptime_s(device)};
    const char *verb = command_subject_verb(natsMsg_GetSubject(message), device->id);
    cleanup_error struct error impossible = ERROR_INIT;
    char *reply = NULL;

    if (!verb || command_verb_parse(verb) != VERB_PING)
        return error_reply_encode(COMMAND_UNSUPPORTED, "a simulated device answers to nothing but pings");
    if (ping_reply_encode(&ping, &reply, &impossible) < 0)
        return error_reply_encode(COMMAND_INTERNAL, error_root_detail(&impossible));
    COUNT(device->wire->options.counts->pings);
    return reply;
}

static void on_command(natsConnection *connection, natsSubscription *subscription __attribute__((unused)),
                       natsMsg *message, void *closure)
{
    if (natsMsg_GetReply(message)) {
        cleanup_free char *reply = make_reply(closure, message);

        natsStatus status = natsConnection_Publish(connection, natsMsg_GetReply(message), reply, (int)strlen(reply));
        if (status != NATS_OK)
            log_debug("reply not sent", LOG_TEXT("status", natsStatus_GetText(status)));
    }
    natsMsg_Destroy(message);
}

/** Make the consumer that delivers to `inbox`, as the agent's: that of a KV watch. */
static natsStatus add_consumer(const struct simulated_device *device, const char *inbox)
{
    cleanup_free char *filter = text_format("%s%s.*", SUBJECT_PREFIX, device->id);
    jsConsumerInfo *information = NULL;
    jsConsumerConfig config;

    jsConsumerConfig_Init(&config);
    config.DeliverSubject = inbox;
    config.DeliverPolicy = js_DeliverLastPerSubject;
    config.AckPolicy = js_AckNone;
    config.MaxDeliver = 1;
    config.FilterSubject = filter;
    config.FlowControl = true;
    config.Heartbeat = IDLE_HEARTBEAT_NS;
    config.MemoryStorage = true;
    config.Replicas = 1;
    natsStatus status = js_AddConsumer(&information, device->wire->jetstream, STREAM, &config, NULL, NULL);
    jsConsumerInfo_Destroy(information);
    return status;
}

static natsStatus subscribe(struct simulated_device *device, const char *subject, natsMsgHandler handler,
                            natsSubscription **ret)
{
    natsStatus status = natsConnection_Subscribe(ret, device->wire->connection, subject, handler, device);

    if (status == NATS_OK)
        subscription_gate_enter(device->wire->options.gate, *ret);
    return status;
}

/**
 * Watch the desired states. js_Subscribe would do the same and keep a timer a watch, in one sorted list for all: with ten
 * thousand of them the process would do little else. What it does besides, seeing gaps, is not wanted here: a lost
 * connection is told, and then all is watched anew.
 */
static natsStatus watch(struct simulated_device *device)
{
    natsInbox *inbox = NULL;

    natsSubscription_Destroy(TAKE_PTR(device->watch));
    natsStatus status = natsInbox_Create(&inbox);
    if (status == NATS_OK)
        status = subscribe(device, inbox, on_desired, &device->watch);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(device->watch, -1, -1);
    if (status == NATS_OK)
        status = add_consumer(device, inbox);
    natsInbox_Destroy(inbox);
    return status;
}

int simulated_device_bring_up(struct simulated_device *device, struct error *err)
{
    struct wire_key key;
    natsStatus status = NATS_OK;

    /* A subscription outlives a lost connection; a consumer may not have outlived what made the server go. */
    if (!device->commands)
        status = subscribe(device, device->command_subject.text, on_command, &device->commands);
    if (status == NATS_OK)
        status = watch(device);
    if (status != NATS_OK)
        return error_set_nats(err, status, "bringing up device", device->id);
    if (device_info_key(device->id, &key, err) < 0)
        return -1;
    write_key(device, BUCKET_DEVICE_INFO, key.text, device->info);
    simulated_device_beat(device);
    __atomic_store_n(&device->up, true, __ATOMIC_RELEASE);
    return 0;
}

bool simulated_device_is_up(const struct simulated_device *device)
{
    return __atomic_load_n(&device->up, __ATOMIC_ACQUIRE);
}

void simulated_device_beat(struct simulated_device *device)
{
    struct device_heartbeat heartbeat = {.uptime_s = uptime_s(device), .agent_version = device->agent_version};
    cleanup_error struct error impossible = ERROR_INIT;
    cleanup_free char *value = NULL;
    struct wire_key key;

    clock_rfc3339(heartbeat.time);
    if (device_heartbeat_encode(&heartbeat, &value, &impossible) < 0 ||
        device_heartbeat_key(device->id, &key, &impossible) < 0) {
        log_failure("a heartbeat cannot be written", &impossible);
        return;
    }
    write_key(device, BUCKET_DEVICE_HEARTBEAT, key.text, value);
    COUNT(device->wire->options.counts->heartbeats);
}

void simulated_device_withdraw(struct simulated_device *device)
{
    cleanup_error struct error impossible = ERROR_INIT;
    struct wire_key key;

    pthread_mutex_lock(&device->mutex);
    device->withdrawn = true;
    for (size_t i = 0; i < device->deployment_count; i++)
        delete_state(device, &device->deployments[i]);
    device->deployment_count = 0;
    pthread_mutex_unlock(&device->mutex);
    if (!simulated_device_is_up(device))
        return;
    (void)natsSubscription_Unsubscribe(device->commands); /* the connection may be gone: as good */
    if (device_heartbeat_key(device->id, &key, &impossible) == 0)
        write_key(device, BUCKET_DEVICE_HEARTBEAT, key.text, NULL);
    if (device_info_key(device->id, &key, &impossible) == 0)
        write_key(device, BUCKET_DEVICE_INFO, key.text, NULL);
}

void simulated_device_free(struct simulated_device *device)
{
    if (!device)
        return;
    natsSubscription_Destroy(device->commands);
    natsSubscription_Destroy(device->watch);
    pthread_mutex_destroy(&device->mutex);
    free(device->deployments);
    free(device->info);
    free(device->agent_version);
    free(device->id);
    free(device);
}
