/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/simulator/delayed.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/deadline.h"
#include "base/memory.h"

void delayed_init(struct delayed *delayed)
{
    *delayed = (struct delayed){0};
    pthread_mutex_init(&delayed->mutex, NULL);
}

void delayed_add(struct delayed *delayed, struct simulated_device *device, const char *deployment, uint64_t revision,
                 int64_t due_ms)
{
    struct delayed_answer *answer = NEW(struct delayed_answer);

    answer->device = device;
    snprintf(answer->deployment, sizeof(answer->deployment), "%s", deployment);
    answer->revision = revision;
    answer->due_ms = due_ms;
    pthread_mutex_lock(&delayed->mutex);
    if (delayed->last)
        delayed->last->next = answer;
    else
        delayed->first = answer;
    delayed->last = answer;
    pthread_mutex_unlock(&delayed->mutex);
}

bool delayed_take(struct delayed *delayed, struct delayed_answer *ret)
{
    struct delayed_answer *answer = NULL;

    pthread_mutex_lock(&delayed->mutex);
    if (delayed->first && delayed->first->due_ms <= clock_monotonic_ms()) {
        answer = delayed->first;
        delayed->first = answer->next;
        if (!delayed->first)
            delayed->last = NULL;
    }
    pthread_mutex_unlock(&delayed->mutex);
    if (!answer)
        return false;
    *ret = *answer;
    free(answer);
    return true;
}

void delayed_clear(struct delayed *delayed)
{
    while (delayed->first) {
        struct delayed_answer *answer = delayed->first;

        delayed->first = answer->next;
        free(answer);
    }
    pthread_mutex_destroy(&delayed->mutex);
}
