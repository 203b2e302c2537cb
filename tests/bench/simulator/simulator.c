/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulator/simulator.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/memory.h"
#include "messaging/kv.h"
#include "tests/bench/simulator/bring_up.h"
#include "tests/bench/simulator/delayed.h"
#include "tests/bench/simulator/device.h"
#include "tests/bench/simulator/report.h"

#define GROUPS            10
#define SPARE_DESCRIPTORS 64
#define TICK_MS           10 /* heartbeats and answers are as late as that, and go out together */
#define DELIVERY_THREADS  2
#define LAST_CALLS_MS     10000

/** One connection, and where it is. */
struct link {
    struct simulator *simulator;
    size_t index;
    struct wire wire;
};

struct simulator {
    struct simulator_options options;
    struct device_behaviour behaviour;
    struct simulator_counts counts;
    struct delayed delayed;
    struct subscription_gate gate;
    struct event_loop *loop;
    struct bring_up *bring_up;
    struct link *links;
    struct simulated_device **devices; /* device i is on connection i % connections */
    int64_t started_ms;
    uint64_t beats; /* how often any device was to beat */
    int64_t reported_ms;
    uint64_t reported; /* `written` by then */
    bool ready;
};

static void answer_later(void *context, struct simulated_device *device, const char *deployment, uint64_t revision)
{
    struct simulator *simulator = context;

    delayed_add(&simulator->delayed, device, deployment, revision, clock_monotonic_ms() + simulator->options.delay_ms);
}

/** Caller frees. */
static char *device_id(const struct simulator_options *options, size_t number)
{
    return text_format("%s-%05zu-%s", options->prefix, number, options->suffix);
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct device_label *)a)->key, ((const struct device_label *)b)->key);
}

static int make_device(struct simulator *simulator, size_t number, struct error *err)
{
    const struct simulator_options *options = &simulator->options;
    cleanup_free char *id = device_id(options, number);
    cleanup_free char *group = text_format("g%zu", number % GROUPS);
    cleanup_free struct device_label *labels = NEW_ARRAY(struct device_label, options->label_count + 2);
    struct device_info info = {.device_id = id,
                               .agent_version = (char *)FLEET_VERSION "-simulated",
                               .arch = (char *)"x86_64",
                               .os = (char *)"simulated",
                               .labels = labels,
                               .label_count = options->label_count + 2};

    for (size_t i = 0; i < options->label_count; i++)
        labels[i] = options->labels[i];
    labels[options->label_count] = (struct device_label){(char *)"simulator", (char *)options->suffix};
    labels[options->label_count + 1] = (struct device_label){(char *)"group", group};
    qsort(labels, info.label_count, sizeof(*labels), compare_labels);
    info.inventory.hostname = id;
    info.inventory.kernel = (char *)"none";
    info.inventory.cpus = 1;
    struct wire *wire = &simulator->links[number % (size_t)options->connections].wire;
    return simulated_device_new(wire, &simulator->behaviour, number, &info, &simulator->devices[number], err);
}

int simulator_new(const struct simulator_options *options, struct simulator **ret, struct error *err)
{
    CLEANUP(simulator_free) struct simulator *simulator = NEW(struct simulator);

    simulator->options = *options;
    if (options->connections == 0)
        simulator->options.connections = options->devices;
    simulator->behaviour =
        (struct device_behaviour){options->delay_ms, options->failed_percent, answer_later, simulator};
    simulator->counts.closing_us = INT64_MAX;
    delayed_init(&simulator->delayed);
    subscription_gate_init(&simulator->gate);
    size_t connections = (size_t)simulator->options.connections;
    simulator->links = NEW_ARRAY(struct link, connections);
    for (size_t i = 0; i < connections; i++) {
        simulator->links[i].simulator = simulator;
        simulator->links[i].index = i;
    }
    simulator->devices = NEW_ARRAY(struct simulated_device *, (size_t)options->devices);
    for (size_t i = 0; i < (size_t)options->devices; i++) {
        if (make_device(simulator, i, err) < 0)
            return -1;
    }
    *ret = TAKE_PTR(simulator);
    return 0;
}

static int raise_descriptor_limit(const struct simulator *simulator, struct error *err)
{
    rlim_t wanted = (rlim_t)simulator->options.connections + SPARE_DESCRIPTORS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_set_errno(err, errno, "reading the limit of open files", NULL);
    if (limit.rlim_max < wanted)
        return error_set(err, &general_error_domain, GENERAL_UNSUPPORTED, "opening connections", NULL,
                         "%d take %llu open files, and the hard limit is %llu; let devices share (--connections)",
                         simulator->options.connections, (unsigned long long)wanted,
                         (unsigned long long)limit.rlim_max);
    if (limit.rlim_cur >= wanted)
        return 0;
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_set_errno(err, errno, "raising the limit of open files", NULL);
    return 0;
}

/** From a thread of nats.c's. */
static void reconnected(void *context)
{
    const struct link *link = context;

    bring_up_again(link->simulator->bring_up, link->index);
}

static int bring_up_link(void *context, size_t index, struct error *err)
{
    struct simulator *simulator = context;
    const struct simulator_options *options = &simulator->options;
    struct link *link = &simulator->links[index];
    const struct wire_options wire_options = {
        .url = options->url,
        .credentials = options->credentials,
        .loop = simulator->loop,
        .counts = &simulator->counts,
        .gate = &simulator->gate,
        .reconnected = reconnected,
        .context = link,
    };

    if (wire_open(&link->wire, &wire_options, err) < 0)
        return -1;
    for (size_t i = index; i < (size_t)options->devices; i += (size_t)options->connections) {
        if (simulated_device_bring_up(simulator->devices[i], err) < 0)
            return -1;
    }
    return 0;
}

/** As an agent does; and a server that is not there is told by one error. */
static int ensure_buckets(const struct simulator_options *options, struct error *err)
{
    const char *const urls[] = {options->url, NULL};
    const struct nats_settings settings = {
        .urls = urls, .name = "fleet-simulator", .credentials = options->credentials};
    CLEANUP(nats_connection_free) struct nats_connection *connection = NULL;

    if (nats_connection_open(&settings, &connection, err) < 0)
        return -1;
    return kv_ensure_fleet_buckets(connection, err);
}

static int start(struct simulator *simulator, struct error *err)
{
    const struct simulator_options *options = &simulator->options;
    cleanup_free char *first = device_id(options, 0);
    cleanup_free char *last = device_id(options, (size_t)options->devices - 1);

    if (raise_descriptor_limit(simulator, err) < 0 || ensure_buckets(options, err) < 0 ||
        event_loop_start(&simulator->loop, err) < 0)
        return -1;
    natsStatus status = nats_SetMessageDeliveryPoolSize(DELIVERY_THREADS);
    if (status != NATS_OK)
        return error_set_nats(err, status, "starting delivery threads", NULL);
    simulator->started_ms = clock_monotonic_ms();
    simulator->reported_ms = simulator->started_ms;
    report_connecting(options, first, last);
    return bring_up_start((size_t)options->connections, bring_up_link, simulator, &simulator->bring_up, err);
}

/** Each device beats once an interval, at a moment of its own. One that is not up yet misses its turn. */
static void beat(struct simulator *simulator, int64_t now_ms)
{
    uint64_t devices = (uint64_t)simulator->options.devices;
    uint64_t due = (uint64_t)(now_ms - simulator->started_ms) * devices / (uint64_t)simulator->options.heartbeat_ms;

    for (; simulator->beats < due; simulator->beats++) {
        struct simulated_device *device = simulator->devices[simulator->beats % devices];

        if (simulated_device_is_up(device))
            simulated_device_beat(device);
    }
}

static void answer_due(struct simulator *simulator)
{
    struct delayed_answer answer;

    while (delayed_take(&simulator->delayed, &answer))
        simulated_device_answer(answer.device, answer.deployment, answer.revision);
}

static void report(struct simulator *simulator, int64_t now_ms)
{
    if (now_ms - simulator->reported_ms < simulator->options.report_ms)
        return;
    simulator->reported_ms = now_ms;
    uint64_t written = __atomic_load_n(&simulator->counts.written, __ATOMIC_RELAXED);
    if (written != simulator->reported)
        report_counts("report", &simulator->counts, now_ms - simulator->started_ms);
    simulator->reported = written;
}

static void look_whether_ready(struct simulator *simulator)
{
    if (simulator->ready || !bring_up_is_complete(simulator->bring_up) || !wires_are_settled(&simulator->counts))
        return;
    simulator->ready = true;
    report_ready(clock_monotonic_ms() - simulator->started_ms);
}

int simulator_run(struct simulator *simulator, int stop_fd, struct error *err)
{
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};

    if (start(simulator, err) < 0)
        return -1;
    for (;;) {
        int ready = poll(&stop, 1, TICK_MS);

        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return error_set_errno(err, errno, "waiting for a signal", NULL);
        look_whether_ready(simulator);
        int64_t now_ms = clock_monotonic_ms();
        beat(simulator, now_ms);
        answer_due(simulator);
        report(simulator, now_ms);
    }
}

static int is_closed(void *context, struct text_buffer *state, struct error *err __attribute__((unused)))
{
    const struct simulator *simulator = context;

    text_buffer_format(state, "of %llu deletions %llu are answered",
                       (unsigned long long)simulator->counts.closing_written,
                       (unsigned long long)simulator->counts.closing_answered);
    return wires_are_closed(&simulator->counts);
}

int simulator_withdraw(struct simulator *simulator, struct deadline deadline, struct error *err)
{
    static const struct wait_options often = {.interval_ms = TICK_MS};

    bring_up_stop(simulator->bring_up);
    wires_begin_closing(&simulator->counts);
    for (int i = 0; i < simulator->options.devices; i++)
        simulated_device_withdraw(simulator->devices[i]);
    int result = wait_until("the server to take all deletions", is_closed, simulator, &often, deadline, err);
    report_counts("ended", &simulator->counts, clock_monotonic_ms() - simulator->started_ms);
    return result;
}

void simulator_close(struct simulator *simulator)
{
    bring_up_stop(simulator->bring_up);
    for (int i = 0; i < simulator->options.connections; i++)
        wire_close(&simulator->links[i].wire);
    event_loop_free(TAKE_PTR(simulator->loop));
    /* nats.c's own end does not wait for what is still to be handed out, and would leave it behind. */
    if (!subscription_gate_wait(&simulator->gate, deadline_in_ms(LAST_CALLS_MS)))
        log_warning("messages are still being handed out at the end");
}

void simulator_free(struct simulator *simulator)
{
    if (!simulator)
        return;
    for (int i = 0; simulator->devices && i < simulator->options.devices; i++)
        simulated_device_free(simulator->devices[i]);
    for (int i = 0; i < simulator->options.connections; i++)
        wire_clear(&simulator->links[i].wire);
    bring_up_free(simulator->bring_up);
    if (subscription_gate_wait(&simulator->gate, deadline_in_ms(0)))
        subscription_gate_clear(&simulator->gate);
    delayed_clear(&simulator->delayed);
    free(simulator->devices);
    free(simulator->links);
    free(simulator);
}
