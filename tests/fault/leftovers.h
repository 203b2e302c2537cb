/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a run left on the machine, found without the harness's own knowledge: no journal is read here.
 */

#include "base/error.h"
#include "base/text.h"

/**
 * Everything there is of runs below `runs_directory`: processes that inherited FLEET_E2E_RUNS=<runs_directory>, entries
 * of the directory, mounts below it, control groups named fleet-e2e-* that are not in `known_groups`.
 * One line each in *ret ("process 123 nats-server …").
 */
MUST_CHECK int leftovers_find(const char *runs_directory, const struct text_list *known_groups, struct text_list *ret,
                              struct error *err);
/** Control groups named fleet-e2e-* at the top of every hierarchy. */
MUST_CHECK int leftovers_groups(struct text_list *ret, struct error *err);
