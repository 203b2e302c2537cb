/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/file.h"
#include "tests/bench/bench_host.h"
#include "tests/fault/bring_up_kill.h"

#define KILLS 20

/** SIGKILL of a process in the middle of bringing a stack up → nothing of it left; the worst over the whole bring-up. */
int bench_reap(struct bench *bench, struct error *err)
{
    cleanup_samples struct samples seconds = {0};
    int64_t whole_ms = -1;

    for (int i = 0; i <= KILLS; i++) {
        cleanup_free char *directory = text_format("%s/victim-%d", run_directory(bench->run), i);
        cleanup_victim_report struct victim_report report = {0};
        struct victim_moment moment = {.delay_ms = i == 0 ? -1 : whole_ms * (i - 1) / KILLS};

        if (directory_create(directory, 0700, err) < 0 || victim_kill(directory, moment, &report, err) < 0)
            return -1;
        if (i == 0)
            whole_ms = report.killed_ms;
        fprintf(stderr, "  killed at %4lld ms in phase %-24s gone after %4lld ms\n", (long long)report.killed_ms,
                report.phase, (long long)report.reaped_ms);
        samples_add(&seconds, (double)report.reaped_ms / 1e3);
    }
    bench_print("reap_s", samples_max(&seconds), "s");
    bench_print("reap_median_s", samples_median(&seconds), "s");
    return 0;
}
