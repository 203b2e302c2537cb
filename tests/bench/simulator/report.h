/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The simulator's lines of JSON on stdout, each with "event" first.
 */

#include "tests/bench/simulator/simulator.h"
#include "tests/bench/simulator/wire.h"

/** {"event":"connecting","devices":…,"connections":…,"first":…,"last":…}: what is about to come up, and its ids. */
void report_connecting(const struct simulator_options *options, const char *first, const char *last);
/** {"event":"ready","took_ms":…}: every device is up. */
void report_ready(int64_t took_ms);
/** `event` with all counts so far, and the latencies in µs: "report", "ended". */
void report_counts(const char *event, const struct simulator_counts *counts, int64_t since_start_ms);
