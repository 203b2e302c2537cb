/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a benchmark measures again and again, and the line it prints in the end.
 */

#include <stddef.h>

/** A growing series of samples. */
struct samples {
    double *values;
    size_t count;
};
void samples_add(struct samples *samples, double value);
/** 0 when empty. */
double samples_median(struct samples *samples);
/** The smallest sample that `percent` of all do not exceed; 0 when empty. */
double samples_percentile(struct samples *samples, double percent);
double samples_max(const struct samples *samples);
void samples_clear(struct samples *samples);
static inline void samples_clear_at_exit(struct samples *samples)
{
    samples_clear(samples);
}
#define cleanup_samples __attribute__((cleanup(samples_clear_at_exit)))

/** One line of the result on stdout. */
void bench_print(const char *name, double value, const char *unit);
