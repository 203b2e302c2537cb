/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "base/process.h"
#include "harness/program.h"
#include "tests/bench/bench_host.h"

/*
 * FleetCommandsClient::ping against what nats.c alone can do: a second process that answers every request with a fixed
 * payload of a ping reply's size, send-asap on both ends, the same server, turns taken in one run.
 */

#define RAW_SUBJECT       "bench.raw"
#define RAW_PAYLOAD       "{\"device_id\":\"device-01234567\",\"agent_version\":\"0.1.0\",\"uptime_s\":1}"
#define ROUNDS            31
#define PINGS_PER_ROUND   200
#define IN_FLIGHT         50
#define PINGS_PER_THREAD  40
#define THROUGHPUT_ROUNDS 15

/** Beside this program, or where FLEET_E2E_PROGRAMS says. */
static int start_responder(struct host_stack *stack, struct process **ret, struct error *err)
{
    const struct credentials *admin = host_stack_admin_credentials(stack);
    cleanup_free char *program = NULL;

    if (program_find("fleet-bench-responder", &program, err) < 0)
        return -1;
    const char *const argv[] = {
        program, host_stack_nats_url(stack), admin->user, admin->password, RAW_SUBJECT, RAW_PAYLOAD, NULL};
    struct process_options options = {.argv = argv, .die_with_parent = true};
    return process_start(&options, ret, err);
}

static int answers(void *context, struct text_buffer *state, struct error *err)
{
    natsMsg *message = NULL;

    (void)err;
    natsStatus status = natsConnection_Request(&message, context, RAW_SUBJECT, NULL, 0, 1000);
    natsMsg_Destroy(message);
    text_buffer_add(state, natsStatus_GetText(status));
    return status == NATS_OK;
}

/** Who asks whom how often. */
struct pinger {
    struct host_stack *stack;
    const char *device;
    bool raw;
    int count;
    struct error error;
};

static int ping_once(const struct pinger *pinger, struct error *err)
{
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    natsMsg *message = NULL;

    if (!pinger->raw)
        return fleet_ping(host_stack_commands(pinger->stack), pinger->device, deadline_in_ms(5000), &reply, err);
    natsStatus status = natsConnection_Request(&message, nats_connection_handle(host_stack_admin(pinger->stack)),
                                               RAW_SUBJECT, NULL, 0, 5000);
    natsMsg_Destroy(message);
    return status == NATS_OK ? 0 : error_set_nats(err, status, "requesting", RAW_SUBJECT);
}

static void *ping_many(void *context)
{
    struct pinger *pinger = context;

    for (int i = 0; i < pinger->count; i++) {
        if (ping_once(pinger, &pinger->error) < 0)
            break;
    }
    return NULL;
}

/** Microseconds a round trip takes, over one round. */
static int time_round(struct pinger *pinger, double *ret_us, struct error *err)
{
    int64_t started_us = clock_monotonic_us();

    ping_many(pinger);
    if (error_is_set(&pinger->error)) {
        error_move(err, &pinger->error);
        return -1;
    }
    *ret_us = (double)(clock_monotonic_us() - started_us) / pinger->count;
    return 0;
}

/** Replies a second with IN_FLIGHT requests outstanding. */
static int time_throughput(const struct pinger *like, double *ret_per_s, struct error *err)
{
    struct pinger pingers[IN_FLIGHT];
    pthread_t threads[IN_FLIGHT];
    int64_t started_us = clock_monotonic_us();

    for (int i = 0; i < IN_FLIGHT; i++) {
        pingers[i] = *like;
        pingers[i].count = PINGS_PER_THREAD;
        pthread_create(&threads[i], NULL, ping_many, &pingers[i]);
    }
    for (int i = 0; i < IN_FLIGHT; i++) {
        pthread_join(threads[i], NULL);
        if (error_is_set(&pingers[i].error) && !error_is_set(err))
            error_move(err, &pingers[i].error);
        error_clear(&pingers[i].error);
    }
    *ret_per_s = IN_FLIGHT * PINGS_PER_THREAD * 1e6 / (double)(clock_monotonic_us() - started_us);
    return error_is_set(err) ? -1 : 0;
}

static int measure(struct host_stack *stack, const char *device, struct error *err)
{
    struct pinger fleet = {.stack = stack, .device = device, .count = PINGS_PER_ROUND};
    struct pinger raw = {.stack = stack, .raw = true, .count = PINGS_PER_ROUND};
    cleanup_samples struct samples fleet_us = {0}, raw_us = {0}, ratio = {0};
    cleanup_samples struct samples fleet_rate = {0}, raw_rate = {0}, rate_ratio = {0};

    for (int i = 0; i < ROUNDS; i++) {
        double a, b;
        if (time_round(&fleet, &a, err) < 0 || time_round(&raw, &b, err) < 0)
            return -1;
        if (i == 0)
            continue; /* warm-up */
        samples_add(&fleet_us, a);
        samples_add(&raw_us, b);
        samples_add(&ratio, a / b);
    }
    for (int i = 0; i < THROUGHPUT_ROUNDS; i++) {
        double a, b;
        if (time_throughput(&fleet, &a, err) < 0 || time_throughput(&raw, &b, err) < 0)
            return -1;
        samples_add(&fleet_rate, a);
        samples_add(&raw_rate, b);
        samples_add(&rate_ratio, a / b);
    }
    bench_print("ping_rtt_us", samples_median(&fleet_us), "us");
    bench_print("raw_rtt_us", samples_median(&raw_us), "us");
    bench_print("ping_rtt_ratio", samples_median(&ratio), "ratio");
    bench_print("ping_throughput", samples_median(&fleet_rate), "1/s");
    bench_print("raw_throughput", samples_median(&raw_rate), "1/s");
    bench_print("ping_throughput_ratio", samples_median(&rate_ratio), "ratio");
    return 0;
}

int bench_ping(struct bench *bench, struct error *err)
{
    CLEANUP(host_agent_free) struct host_agent *agent = NULL;
    CLEANUP(process_free) struct process *responder = NULL;
    static const struct host_agent_options options = {.podman = NULL};

    if (host_agent_new(bench->host, &options, &agent, err) < 0 || start_responder(bench->host, &responder, err) < 0 ||
        wait_until("the raw responder", answers, nats_connection_handle(host_stack_admin(bench->host)), NULL,
                   deadline_in_ms(5000), err) < 0)
        return -1;
    return measure(bench->host, host_agent_device(agent), err);
}
