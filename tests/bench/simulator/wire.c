/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulator/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "messaging/options.h"

#define RECONNECT_MS 2000
#define IO_BYTES     8192   /* nats.c's buffer each way; its default would take half a gigabyte for ten thousand */
#define WAIT_MS      30000  /* to connect, and for one call of JetStream's, while thousands are made */
#define PING_MS      120000 /* rarely: nats.c has all timers in one sorted list */
#define KEY_SIZE     256

static void on_acknowledgement(natsConnection *connection __attribute__((unused)),
                               natsSubscription *subscription __attribute__((unused)), natsMsg *message, void *closure)
{
    const struct wire *wire = closure;
    struct simulator_counts *counts = wire->options.counts;
    int64_t sent_us = strtoll(strrchr(natsMsg_GetSubject(message), '.') + 1, NULL, 10);
    const char *data = natsMsg_GetData(message);

    /* Stored: {"stream":…,"seq":…}. Refused: {"error":…}, or an empty message that says nobody is there. */
    if (data && strstr(data, "\"seq\"")) {
        COUNT(counts->acknowledged);
        latency_add(&counts->acknowledgement, clock_monotonic_us() - sent_us);
    } else {
        COUNT(counts->refused);
        log_debug("write refused", LOG_TEXT("answer", data));
    }
    if (sent_us >= __atomic_load_n(&counts->closing_us, __ATOMIC_ACQUIRE))
        COUNT(counts->closing_answered);
    natsMsg_Destroy(message);
}

static void on_disconnected(natsConnection *connection __attribute__((unused)), void *closure)
{
    const struct wire *wire = closure;

    COUNT(wire->options.counts->lost);
}

static void on_reconnected(natsConnection *connection __attribute__((unused)), void *closure)
{
    const struct wire *wire = closure;

    wire->options.reconnected(wire->options.context);
}

static void on_error(natsConnection *connection __attribute__((unused)),
                     natsSubscription *subscription __attribute__((unused)), natsStatus status,
                     void *closure __attribute__((unused)))
{
    log_debug("trouble in the background", LOG_TEXT("status", natsStatus_GetText(status)));
}

/** Spread, so that thousands do not come back in the same moment. */
static int64_t reconnect_delay(natsConnection *connection __attribute__((unused)), int attempts __attribute__((unused)),
                               void *closure __attribute__((unused)))
{
    return random() % RECONNECT_MS;
}

static natsStatus adapt(const struct wire_options *wire_options, natsOptions *options)
{
    natsStatus status = event_loop_use(wire_options->loop, options);

    if (status == NATS_OK)
        status = natsOptions_UseGlobalMessageDelivery(options, true);
    if (status == NATS_OK)
        status = natsOptions_SetIOBufSize(options, IO_BYTES);
    return status;
}

static int connect_wire(struct wire *wire, struct error *err)
{
    const char *const urls[] = {wire->options.url, NULL};
    struct nats_settings settings = {.urls = urls,
                                     .name = "fleet-simulator",
                                     .credentials = wire->options.credentials,
                                     .reconnect = true,
                                     .connect_timeout_ms = WAIT_MS,
                                     .ping_interval_ms = PING_MS};
    struct nats_callbacks callbacks = {.disconnected = on_disconnected,
                                       .reconnected = on_reconnected,
                                       .error = on_error,
                                       .reconnect_delay = reconnect_delay,
                                       .closure = wire};
    CLEANUP(natsOptions_Destroy) natsOptions *options = NULL;

    if (nats_options_make(&settings, &callbacks, &options, err) < 0)
        return -1;
    natsStatus status = adapt(&wire->options, options);
    if (status == NATS_OK)
        status = natsConnection_Connect(&wire->connection, options);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "connecting to", wire->options.url);
}

static natsStatus subscribe_acknowledgements(struct wire *wire)
{
    natsInbox *inbox = NULL;
    natsStatus status = natsInbox_Create(&inbox);

    if (status != NATS_OK)
        return status;
    free(wire->inbox);
    wire->inbox = text_copy(inbox);
    natsInbox_Destroy(inbox);
    cleanup_free char *all = text_format("%s.*", wire->inbox);
    status = natsConnection_Subscribe(&wire->acknowledgements, wire->connection, all, on_acknowledgement, wire);
    if (status != NATS_OK)
        return status;
    subscription_gate_enter(wire->options.gate, wire->acknowledgements);
    return natsSubscription_SetPendingLimits(wire->acknowledgements, -1, -1);
}

int wire_open(struct wire *wire, const struct wire_options *options, struct error *err)
{
    natsStatus status = NATS_OK;
    jsOptions jetstream;

    wire->options = *options;
    if (!wire->connection && connect_wire(wire, err) < 0)
        return -1;
    jsOptions_Init(&jetstream);
    jetstream.Wait = WAIT_MS;
    if (!wire->jetstream)
        status = natsConnection_JetStream(&wire->jetstream, wire->connection, &jetstream);
    if (status == NATS_OK && !wire->acknowledgements)
        status = subscribe_acknowledgements(wire);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "preparing the connection to", options->url);
}

/** What kvStore_Delete sends (NATS ADR-8), and it would wait for the answer. */
static natsStatus publish_deletion(struct wire *wire, const char *subject, const char *reply)
{
    natsMsg *message = NULL;
    natsStatus status = natsMsg_Create(&message, subject, reply, NULL, 0);

    if (status == NATS_OK)
        status = natsMsgHeader_Set(message, "KV-Operation", "DEL");
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(wire->connection, message);
    natsMsg_Destroy(message);
    return status;
}

int wire_write(struct wire *wire, const char *bucket, const char *key, const char *value, struct error *err)
{
    struct simulator_counts *counts = wire->options.counts;
    char subject[KEY_SIZE];
    char reply[KEY_SIZE];
    natsStatus status;

    snprintf(subject, sizeof(subject), "$KV.%s.%s", bucket, key);
    int64_t now_us = clock_monotonic_us();
    snprintf(reply, sizeof(reply), "%s.%" PRId64, wire->inbox, now_us);
    COUNT(counts->written); /* first: the answer may be faster than we are */
    bool closing = now_us >= __atomic_load_n(&counts->closing_us, __ATOMIC_ACQUIRE);
    if (closing)
        COUNT(counts->closing_written);
    if (value)
        status = natsConnection_PublishRequest(wire->connection, subject, reply, value, (int)strlen(value));
    else
        status = publish_deletion(wire, subject, reply);
    if (status == NATS_OK)
        return 0;
    COUNT(counts->refused);
    if (closing)
        COUNT(counts->closing_answered);
    return error_set_nats(err, status, value ? "writing key" : "deleting key", key);
}

bool wires_are_settled(const struct simulator_counts *counts)
{
    uint64_t answered =
        __atomic_load_n(&counts->acknowledged, __ATOMIC_ACQUIRE) + __atomic_load_n(&counts->refused, __ATOMIC_ACQUIRE);

    return answered >= __atomic_load_n(&counts->written, __ATOMIC_ACQUIRE) ||
           __atomic_load_n(&counts->lost, __ATOMIC_ACQUIRE) > 0;
}

void wires_begin_closing(struct simulator_counts *counts)
{
    __atomic_store_n(&counts->closing_us, clock_monotonic_us(), __ATOMIC_RELEASE);
}

bool wires_are_closed(const struct simulator_counts *counts)
{
    return __atomic_load_n(&counts->closing_answered, __ATOMIC_ACQUIRE) >=
           __atomic_load_n(&counts->closing_written, __ATOMIC_ACQUIRE);
}

void wire_close(struct wire *wire)
{
    natsConnection_Close(wire->connection);
}

void wire_clear(struct wire *wire)
{
    natsSubscription_Destroy(wire->acknowledgements);
    jsCtx_Destroy(wire->jetstream);
    natsConnection_Destroy(wire->connection);
    free(wire->inbox);
    *wire = (struct wire){0};
}
