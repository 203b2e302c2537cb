/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/deadline.h"
#include "deploy/hypervisor.h"
#include "fixtures/kv_admin.h"
#include "tests/bench/bench_vm.h"

#define STEP_MS 120000

/** Infra without devices: each group brings its own. */
static int bring_up_stack(struct bench *bench, struct error *err)
{
    static const struct vm_stack_options no_devices = {.devices = 0};

    if (bench->vms)
        return 0;
    if (bench_run(bench, err) < 0)
        return -1;
    return vm_stack_new(bench->run, NULL, &no_devices, &bench->vms, err);
}

/** The next measurement is to have the machine for itself. Its files stay until the stack ends. */
static int take_down(struct bench *bench, const struct vm_device *device, struct error *err)
{
    bool changed = false;

    return hypervisor_remove_domain(vm_host_hypervisor(vm_stack_host(bench->vms)), vm_device_domain(device), &changed,
                                    err);
}

static int time_restore(struct bench *bench, double *ret_s, struct error *err)
{
    static const struct vm_device_options bare = {.base = "snapshot", .without_agent = true};
    struct vm_device *device = NULL;
    int64_t started_us = clock_monotonic_us();

    if (vm_stack_add_device(bench->vms, &bare, &device, err) < 0 || vm_device_shell(device, "true", NULL, err) < 0)
        return -1;
    *ret_s = (double)(clock_monotonic_us() - started_us) / 1e6;
    fprintf(stderr, "  restored, first command done: %.2f s\n", *ret_s);
    return take_down(bench, device, err);
}

int bench_vm_restore(struct bench *bench, struct error *err)
{
    cleanup_samples struct samples seconds = {0};

    if (bring_up_stack(bench, err) < 0)
        return -1;
    for (int i = -1; i < bench->runs; i++) { /* the first may have to make the snapshot */
        double one;
        if (time_restore(bench, &one, err) < 0)
            return -1;
        if (i >= 0)
            samples_add(&seconds, one);
    }
    bench_print("vm_restore_ssh_s", samples_median(&seconds), "s");
    return 0;
}

/** hello-web with its port published, as the suite deploys it. Caller frees. */
static struct score *web_score(const struct bench *bench)
{
    cleanup_free char *image = vm_stack_image(bench->vms, "hello-web:v1");
    cleanup_free char *json = text_format("{\"type\":\"PodmanV0\",\"data\":{\"services\":[{\"name\":\"web\",\"image\":"
                                          "\"%s\",\"ports\":[\"8080:80\"]}]}}",
                                          image);
    cleanup_error struct error err = ERROR_INIT;
    struct score *score = NULL;

    if (score_decode(json, strlen(json), &score, &err) < 0)
        abort(); /* the text above is part of this program */
    return score;
}

/** Desired state put → Running read from KV. The deployment is removed again. */
static int time_deploy(struct bench *bench, const char *device, const struct score *score, double *ret_s,
                       struct error *err)
{
    struct nats_connection *admin = host_stack_admin(vm_stack_infra(bench->vms));
    cleanup_free char *deployment = host_stack_unique_name("bench");
    uint64_t revision;
    int64_t started_us = clock_monotonic_us();

    if (admin_put(admin, device, deployment, score, &revision, err) < 0 ||
        wait_for_phase(admin, device, deployment, PHASE_RUNNING, revision, deadline_in_ms(STEP_MS), NULL, err) < 0)
        return -1;
    *ret_s = (double)(clock_monotonic_us() - started_us) / 1e6;
    fprintf(stderr, "  put → Running: %.2f s\n", *ret_s);
    if (admin_delete(admin, device, deployment, err) < 0)
        return -1;
    return wait_for_removed(admin, device, deployment, deadline_in_ms(STEP_MS), err);
}

int bench_vm_lifecycle(struct bench *bench, struct error *err)
{
    static const struct vm_device_options usual = {0};
    cleanup_samples struct samples seconds = {0};
    struct vm_device *device = NULL;
    double one;

    if (bring_up_stack(bench, err) < 0 || vm_stack_add_device(bench->vms, &usual, &device, err) < 0)
        return -1;
    CLEANUP(score_free) struct score *score = web_score(bench);
    const char *id = vm_device_id(device);
    if (time_deploy(bench, id, score, &one, err) < 0)
        return -1;
    bench_print("vm_lifecycle_first_put_running_s", one, "s");
    for (int i = 0; i < bench->runs; i++) {
        if (time_deploy(bench, id, score, &one, err) < 0)
            return -1;
        samples_add(&seconds, one);
    }
    bench_print("vm_lifecycle_put_running_s", samples_median(&seconds), "s");
    return take_down(bench, device, err);
}
