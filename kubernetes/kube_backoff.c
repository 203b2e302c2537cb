/* SPDX-License-Identifier: Apache-2.0 */
#include "kubernetes/kube_backoff.h"

#include <poll.h>
#include <sys/random.h>

#include "base/deadline.h"

enum {
    FIRST_MS = 100,
    DOUBLINGS_MAX = 6,
    LONGEST_MS = 5000,
};

int kube_backoff_ms(int failures)
{
    unsigned random = 0;
    int doublings = failures - 1 < DOUBLINGS_MAX ? failures - 1 : DOUBLINGS_MAX;
    int longest = FIRST_MS << (doublings > 0 ? doublings : 0);

    if (longest > LONGEST_MS)
        longest = LONGEST_MS;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = (unsigned)clock_monotonic_us();
    return longest / 2 + (int)(random % ((unsigned)longest / 2 + 1));
}

bool kube_backoff_wait(int milliseconds, int cancel_fd, int stop_fd)
{
    struct deadline deadline = deadline_in_ms(milliseconds);
    struct pollfd ends[] = {
        {.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN},
        {.fd = stop_fd > 0 ? stop_fd : -1, .events = POLLIN},
    };

    for (;;) {
        int ready = poll(ends, 2, deadline_poll_ms(deadline));
        if (ready > 0)
            return false;
        if (deadline_passed(deadline))
            return true;
    }
}
