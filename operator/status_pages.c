/* SPDX-License-Identifier: Apache-2.0 */
#include "operator/status_pages.h"

#include <inttypes.h>
#include <string.h>

#define PREFIX          "harmony_fleet_operator_"
#define LOOP_STUCK_MS   30000 /* it comes by several times a second */
#define WORKER_STUCK_MS 90000 /* a key takes a few requests, each of which has its deadline of a few seconds */

/** One counter of /metrics. */
struct metric_row {
    const char *name; /**< of the family: rows of the same one stand together */
    const char *help;
    const char *labels; /**< "" or "{name=\"value\"}" */
    enum metric metric;
    bool microseconds; /**< shown in seconds */
};

#define WRITES   "kube_writes_total", "Writes to the Kubernetes API, by what is written."
#define KV       "kv_writes_total", "Keys written to desired-state."
#define WORKED   "reconciles_total", "Keys taken from the queues."
#define FAILED   "reconcile_failures_total", "Of these, failed and tried again."
#define DURATION "reconcile_seconds_total", "Time they took."

static const struct metric_row counters[] = {
    {WRITES, "{verb=\"apply\",resource=\"devices\"}", METRIC_KUBE_APPLY, false},
    {WRITES, "{verb=\"patch\",resource=\"deployments\"}", METRIC_KUBE_PATCH, false},
    {WRITES, "{verb=\"patch\",resource=\"status\"}", METRIC_KUBE_STATUS, false},
    {WRITES, "{verb=\"delete\",resource=\"devices\"}", METRIC_KUBE_DELETE, false},
    {KV, "{operation=\"put\"}", METRIC_KV_PUT, false},
    {KV, "{operation=\"delete\"}", METRIC_KV_DELETE, false},
    {WORKED, "{controller=\"deployment\"}", METRIC_RECONCILE_DEPLOYMENT, false},
    {WORKED, "{controller=\"status\"}", METRIC_RECONCILE_STATUS, false},
    {WORKED, "{controller=\"device\"}", METRIC_RECONCILE_DEVICE, false},
    {FAILED, "{controller=\"deployment\"}", METRIC_FAILED_DEPLOYMENT, false},
    {FAILED, "{controller=\"status\"}", METRIC_FAILED_STATUS, false},
    {FAILED, "{controller=\"device\"}", METRIC_FAILED_DEVICE, false},
    {DURATION, "{controller=\"deployment\"}", METRIC_MICROSECONDS_DEPLOYMENT, true},
    {DURATION, "{controller=\"status\"}", METRIC_MICROSECONDS_STATUS, true},
    {DURATION, "{controller=\"device\"}", METRIC_MICROSECONDS_DEVICE, true},
    {"nats_connects_total", "Connects to NATS.", "", METRIC_NATS_CONNECTS, false},
    {"nats_watch_restarts_total", "Watches made anew because something was missed.", "", METRIC_NATS_RESTARTS, false},
    {"kube_watch_breaks_total", "Watches of the Kubernetes API that broke off.", "", METRIC_KUBE_TROUBLE, false},
};

static void add_counters(struct metrics *metrics, struct text_buffer *body)
{
    const char *family = "";

    for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
        const struct metric_row *row = &counters[i];
        uint64_t value = metrics_get(metrics, row->metric);

        if (strcmp(row->name, family) != 0)
            text_buffer_format(body, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s counter\n", row->name, row->help,
                               row->name);
        family = row->name;
        if (row->microseconds)
            text_buffer_format(body, PREFIX "%s%s %.6f\n", row->name, row->labels, (double)value / 1e6);
        else
            text_buffer_format(body, PREFIX "%s%s %" PRIu64 "\n", row->name, row->labels, value);
    }
}

static void add_gauge(struct text_buffer *body, const char *name, const char *help)
{
    text_buffer_format(body, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s gauge\n", name, help, name);
}

static void add_metrics(struct status_pages *pages, struct text_buffer *body)
{
    struct fleet_counts counts;

    fleet_count(pages->context->fleet, &counts);
    add_gauge(body, "devices", "Devices, by phase.");
    text_buffer_format(body, PREFIX "devices{phase=\"Online\"} %zu\n", counts.online);
    text_buffer_format(body, PREFIX "devices{phase=\"Offline\"} %zu\n", counts.offline);
    add_gauge(body, "deployments", "Deployments.");
    text_buffer_format(body, PREFIX "deployments %zu\n", counts.deployments);
    add_gauge(body, "queue_length", "Keys to be worked on.");
    text_buffer_format(body, PREFIX "queue_length{queue=\"deployments\"} %zu\n", work_queue_length(pages->deployments));
    text_buffer_format(body, PREFIX "queue_length{queue=\"statuses\"} %zu\n", work_queue_length(pages->statuses));
    text_buffer_format(body, PREFIX "queue_length{queue=\"devices\"} %zu\n", work_queue_length(pages->devices));
    add_gauge(body, "leader", "1: this one leads.");
    text_buffer_format(body, PREFIX "leader %d\n", leader_is(pages->context->leader));
    add_gauge(body, "nats_up", "1: connected to NATS, and its buckets are watched.");
    text_buffer_format(body, PREFIX "nats_up %d\n", nats_link_is_up(pages->link));
    add_counters(pages->context->metrics, body);
}

static int readiness(struct status_pages *pages, struct text_buffer *body)
{
    struct fleet_counts counts;
    bool up = nats_link_is_up(pages->link);
    bool synced = atomic_load(&pages->synced);

    fleet_count(pages->context->fleet, &counts);
    text_buffer_format(body, "nats: %s\nbuckets: %s\nkubernetes: %s\nleader: %s\n", up ? "connected" : "not connected",
                       counts.complete ? "read" : "being read", synced ? "read" : "being read",
                       leader_is(pages->context->leader) ? "this one" : "another, or none");
    return up && counts.complete && synced ? 200 : 503;
}

/** Unhealthy is what a restart would mend: a thread that is stuck. Neither NATS nor the API server being away is. */
static int health(struct status_pages *pages, struct text_buffer *body)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t idle_ms = now_ms - atomic_load(&pages->ticked_at_ms);

    if (idle_ms > LOOP_STUCK_MS) {
        text_buffer_format(body, "the main loop has been stuck for %" PRId64 " ms\n", idle_ms);
        return 503;
    }
    for (struct controller *const *next = pages->controllers; *next; next++) {
        int64_t busy_ms = controller_busy_ms(*next, now_ms);

        if (busy_ms <= WORKER_STUCK_MS)
            continue;
        text_buffer_format(body, "a worker has been at one key for %" PRId64 " ms\n", busy_ms);
        return 503;
    }
    text_buffer_add(body, "ok\n");
    return 200;
}

int status_pages_answer(void *context, const char *path, struct text_buffer *body)
{
    struct status_pages *pages = context;

    bool health_asked = strcmp(path, "/healthz") == 0;

    if (!atomic_load(&pages->started)) { /* it waits for the API server */
        text_buffer_add(body, "starting\n");
        return health_asked ? 200 : 503;
    }
    if (health_asked)
        return health(pages, body);
    if (strcmp(path, "/readyz") == 0)
        return readiness(pages, body);
    if (strcmp(path, "/metrics") == 0) {
        add_metrics(pages, body);
        return 200;
    }
    text_buffer_add(body, "not found\n");
    return 404;
}
