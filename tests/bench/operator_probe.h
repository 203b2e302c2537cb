/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the operator of a stack says and costs: its /metrics through the API server, its process as this machine sees it.
 */

#include <sys/types.h>

#include "fixtures/stack.h"

/**
 * The sum of all values of a metric whose line begins with `prefix`, of the operator's /metrics.
 * @param prefix  "harmony_fleet_operator_kube_writes_total", "harmony_fleet_operator_devices{phase=\"Online\"}"
 * Errors: kube; GENERAL_NOT_FOUND (no operator's Pod).
 */
MUST_CHECK int operator_metric(struct stack *stack, const char *prefix, double *ret, struct error *err);
/** Requests of the fleet's own kinds that the API server counted since it began and that are no reads, by anybody. */
MUST_CHECK int api_server_fleet_writes(struct stack *stack, double *ret, struct error *err);
/** The process of the operator's Pod. Errors: GENERAL_NOT_FOUND, also where its node is another machine. */
MUST_CHECK int operator_pid(struct stack *stack, pid_t *ret, struct error *err);
/** Resident memory of a process in kB: `field` "VmRSS" or "RssAnon". */
MUST_CHECK int process_memory_kb(pid_t pid, const char *field, double *ret, struct error *err);
/** Processor time a process has had, in seconds. */
MUST_CHECK int process_cpu_s(pid_t pid, double *ret, struct error *err);
