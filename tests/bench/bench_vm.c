/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_vm.h"

#define RUNS 3

/** Commands come first: what is brought up by ourselves takes a share of the machine, and us out of its network. */
static const struct bench_group groups[] = {
    {"image-build", "images/vm/build into an empty cache, once: minutes, and downloads", bench_vm_image_build,
     .is_cold = true},
    {"ping", "the whole command ctest -R vm_ping of the debug build", bench_vm_ping, false},
    {"ping-image", "the same, its device booting the image", bench_vm_ping_image, false},
    {"x86-ping", "the same as ping with an x86_64 device", bench_vm_x86_ping, false},
    {"suite", "the whole command ctest -L vm of the debug build", bench_vm_suite, false},
    {"restore", "nothing of a device → restored, its first command over SSH done", bench_vm_restore, false},
    {"lifecycle", "desired state put → Running reported by a device", bench_vm_lifecycle, false},
};

static void end(struct bench *bench)
{
    vm_stack_free(bench->vms);
}

int main(int argc, char **argv)
{
    static const struct bench_suite suite = {
        .program = "fleet-bench-vm",
        .label = "bench vm",
        .text = "Measure devices that are virtual machines; aarch64 unless FLEET_E2E_VM_ARCH says otherwise.",
        .groups = groups,
        .group_count = ARRAY_SIZE(groups),
        .runs = RUNS,
        .end = end,
    };

    return bench_main(&suite, argc, argv);
}
