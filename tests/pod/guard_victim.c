/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "fixtures/cluster_guard.h"

/*
 * fleet-guard-victim UP: make a namespace as a test does, write its name and the run's directory to the file UP, a line
 * each, and wait to be killed.
 */

#define OPEN_MS 120000

static int make_namespace(const char *up, struct error *err)
{
    static const struct run_options options = {.label = "victim"};
    static struct cluster *cluster; /* these stay: this process is about to be killed */
    static struct cluster_guard *guard;
    static struct run *run;

    if (run_start(&options, &run, err) < 0 || cluster_open(NULL, deadline_in_ms(OPEN_MS), &cluster, err) < 0 ||
        cluster_guard_new(run, cluster, &guard, err) < 0)
        return -1;
    cleanup_free char *text = text_format("%s\n%s\n", cluster_guard_namespace(guard), run_directory(run));
    return file_write_atomic(up, text, strlen(text), 0600, err);
}

int main(int argc, char **argv)
{
    cleanup_error struct error err = ERROR_INIT;

    if (argc != 2) {
        fprintf(stderr, "usage: fleet-guard-victim UP\n");
        return 64;
    }
    log_start("fleet-guard-victim");
    if (make_namespace(argv[1], &err) < 0) {
        log_failure("the victim could not make a namespace", &err);
        return 1;
    }
    for (;;)
        pause();
}
