/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulator/report.h"

#include <stdio.h>

#include "base/json.h"

/** One write a line, whoever reads along. */
static void print(const cJSON *document)
{
    cleanup_free char *text = json_print(document);

    printf("%s\n", text);
    fflush(stdout);
}

static cJSON *begin(const char *event)
{
    cJSON *document = cJSON_CreateObject();

    json_add_text(document, "event", event);
    return document;
}

void report_connecting(const struct simulator_options *options, const char *first, const char *last)
{
    CLEANUP(cJSON_Delete) cJSON *document = begin("connecting");

    json_add_integer(document, "devices", options->devices);
    json_add_integer(document, "connections", options->connections);
    json_add_text(document, "first", first);
    json_add_text(document, "last", last);
    print(document);
}

void report_ready(int64_t took_ms)
{
    CLEANUP(cJSON_Delete) cJSON *document = begin("ready");

    json_add_integer(document, "took_ms", took_ms);
    print(document);
}

static void add_latency(cJSON *document, const char *name, const struct latency *latency)
{
    cJSON *object = json_add_object(document, name);

    json_add_integer(object, "p50", latency_percentile_us(latency, 50));
    json_add_integer(object, "p99", latency_percentile_us(latency, 99));
    json_add_integer(object, "max", latency_percentile_us(latency, 100));
}

void report_counts(const char *event, const struct simulator_counts *counts, int64_t since_start_ms)
{
    CLEANUP(cJSON_Delete) cJSON *document = begin(event);
    const struct {
        const char *name;
        const uint64_t *counter;
    } members[] = {
        {"heartbeats", &counts->heartbeats},
        {"desired", &counts->desired},
        {"removed", &counts->removed},
        {"states", &counts->states},
        {"pings", &counts->pings},
        {"written", &counts->written},
        {"acknowledged", &counts->acknowledged},
        {"refused", &counts->refused},
        {"lost", &counts->lost},
    };

    json_add_integer(document, "since_start_ms", since_start_ms);
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        json_add_integer(document, members[i].name, (int64_t)__atomic_load_n(members[i].counter, __ATOMIC_RELAXED));
    add_latency(document, "acknowledgement_us", &counts->acknowledgement);
    add_latency(document, "desired_age_us", &counts->desired_age);
    print(document);
}
