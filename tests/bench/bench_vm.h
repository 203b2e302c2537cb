/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The figures of docs/benchmarks.md about devices that are virtual machines.
 */

#include "fixtures/vm_stack.h"
#include "tests/bench/bench.h"

/* Whole commands, from the start of the process to its end: what a person waits for. Run at the top of the tree. */

/** vm_ping_warm_s: `ctest -R vm_ping` of the debug build, all that it needs being there, snapshot and agent included. */
MUST_CHECK int bench_vm_ping(struct bench *bench, struct error *err);
/** vm_ping_image_s: the same, its device booting the image. */
MUST_CHECK int bench_vm_ping_image(struct bench *bench, struct error *err);
/** vm_x86_ping_warm_s: as vm_ping_warm_s with an x86_64 device. */
MUST_CHECK int bench_vm_x86_ping(struct bench *bench, struct error *err);
/** vm_suite_s: `ctest -L vm` of the debug build. */
MUST_CHECK int bench_vm_suite(struct bench *bench, struct error *err);
/** vm_image_build_s, once: images/vm/build into an empty cache, what it downloads included. */
MUST_CHECK int bench_vm_image_build(struct bench *bench, struct error *err);

/* From the inside, by the fixtures of this build. */

/** vm_restore_ssh_s: nothing of a device → restored, and its first command over SSH done. */
MUST_CHECK int bench_vm_restore(struct bench *bench, struct error *err);
/**
 * vm_lifecycle_put_running_s: desired state put → Running reported, the device having the image already;
 * vm_lifecycle_first_put_running_s, once: the first of them, the image being pulled.
 */
MUST_CHECK int bench_vm_lifecycle(struct bench *bench, struct error *err);
