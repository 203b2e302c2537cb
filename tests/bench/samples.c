/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/samples.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

void samples_add(struct samples *samples, double value)
{
    samples->values = memory_resize(samples->values, samples->count + 1, sizeof(*samples->values));
    samples->values[samples->count++] = value;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double samples_median(struct samples *samples)
{
    if (!samples->count)
        return 0;
    qsort(samples->values, samples->count, sizeof(*samples->values), compare_doubles);
    size_t middle = samples->count / 2;
    if (samples->count % 2)
        return samples->values[middle];
    return (samples->values[middle - 1] + samples->values[middle]) / 2;
}

double samples_percentile(struct samples *samples, double percent)
{
    if (!samples->count)
        return 0;
    qsort(samples->values, samples->count, sizeof(*samples->values), compare_doubles);
    double rank = (double)samples->count * percent / 100;
    size_t index = (size_t)rank;
    if ((double)index == rank && index > 0) /* a whole rank is its sample's; else the next one's */
        index--;
    return samples->values[index < samples->count ? index : samples->count - 1];
}

double samples_max(const struct samples *samples)
{
    double max = 0;

    for (size_t i = 0; i < samples->count; i++) {
        if (samples->values[i] > max)
            max = samples->values[i];
    }
    return max;
}

void samples_clear(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){0};
}

void bench_print(const char *name, double value, const char *unit)
{
    printf("%s\t%.4g\t%s\n", name, value, unit);
    fflush(stdout);
}
