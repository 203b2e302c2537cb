/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "harness/vm_environment.h"
#include "tests/bench/bench_command.h"
#include "tests/bench/bench_vm.h"

/** ctest of the debug build: that is what people and pipelines run. Required, so that nothing is skipped in no time. */
struct ctest {
    const char *option; /**< "-R", "-L" */
    const char *value;
    const char *base;         /**< "FLEET_E2E_VM_BASE=…" */
    const char *architecture; /**< "FLEET_E2E_VM_ARCH=…"; NULL: as it is */
};

static int time_ctest(const struct ctest *ctest, double *ret_s, struct error *err)
{
    const char *const environment[] = {"FLEET_E2E_REQUIRE=vm", "FLEET_E2E_KEEP", ctest->base, ctest->architecture,
                                       NULL};

    return bench_time_ctest(ctest->option, ctest->value, environment, ret_s, err);
}

static int bench_ctest(const struct bench *bench, const char *name, const struct ctest *ctest, bool warm_up,
                       struct error *err)
{
    cleanup_samples struct samples seconds = {0};

    for (int i = warm_up ? -1 : 0; i < bench->runs; i++) {
        double one;
        if (time_ctest(ctest, &one, err) < 0)
            return -1;
        if (i >= 0)
            samples_add(&seconds, one);
    }
    bench_print(name, samples_median(&seconds), "s");
    return 0;
}

int bench_vm_ping(struct bench *bench, struct error *err)
{
    static const struct ctest ping = {"-R", "vm_ping", "FLEET_E2E_VM_BASE=snapshot", NULL};

    return bench_ctest(bench, "vm_ping_warm_s", &ping, true, err);
}

int bench_vm_ping_image(struct bench *bench, struct error *err)
{
    static const struct ctest ping = {"-R", "vm_ping", "FLEET_E2E_VM_BASE=image", NULL};

    return bench_ctest(bench, "vm_ping_image_s", &ping, false, err);
}

int bench_vm_x86_ping(struct bench *bench, struct error *err)
{
    static const struct ctest ping = {"-R", "vm_ping", "FLEET_E2E_VM_BASE=snapshot", "FLEET_E2E_VM_ARCH=x86_64"};

    return bench_ctest(bench, "vm_x86_ping_warm_s", &ping, true, err);
}

int bench_vm_suite(struct bench *bench, struct error *err)
{
    static const struct ctest suite = {"-L", "^vm$", "FLEET_E2E_VM_BASE=snapshot", NULL};

    return bench_ctest(bench, "vm_suite_s", &suite, false, err);
}

int bench_vm_image_build(struct bench *bench, struct error *err)
{
    struct vm_environment vm;
    double seconds;

    if (bench_run(bench, err) < 0 || vm_environment_read(&vm, err) < 0)
        return -1;
    cleanup_free char *directory = text_format("%s/cold-cache", run_directory(bench->run));
    cleanup_free char *cache = text_format("FLEET_CACHE=%s", directory);
    const char *const argv[] = {"images/vm/build", vm.architecture, "golden", NULL};
    const char *const environment[] = {cache, "FLEET_SETUP_LOCKED", NULL};
    if (directory_create(directory, 0700, err) < 0 || bench_time_command(argv, environment, &seconds, err) < 0 ||
        directory_remove(directory, err) < 0)
        return -1;
    bench_print("vm_image_build_s", seconds, "s");
    return 0;
}
