/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/vm/vm_scenario.h"

/* The whole way of a device that nobody prepared: Debian's packages are downloaded and installed in the guest. */
FLEET_TEST(vm_stock, device_from_stock_image, .gate = "vm", .opt_in = "FLEET_E2E_VM_STOCK", VM_NEEDS)
{
    static const struct vm_stack_options no_devices = {.devices = 0};
    static const struct vm_device_options stock = {.base = "stock"};
    CLEANUP(vm_stack_free) struct vm_stack *stack = NULL;
    CLEANUP(ping_reply_free) struct ping_reply *reply = NULL;
    struct vm_device *device = NULL;
    cleanup_free char *installed = NULL;
    cleanup_free char *podman = NULL;

    TRY(vm_stack_own(test, &no_devices, &stack, err));
    TRY(vm_stack_add_device(stack, &stock, &device, err));
    TRY(vm_device_line(device, "grep --count '^Commandline: .*install.* podman' /var/log/apt/history.log || true",
                       &installed, err));
    CHECK(strtol(installed, NULL, 10) > 0, "apt did not install podman on this device");
    TRY(vm_device_line(device, "podman --version", &podman, err));
    CHECK(text_starts_with(podman, "podman version "), "podman says: %s", podman);
    TRY(fleet_ping(host_stack_commands(vm_stack_infra(stack)), vm_device_id(device), deadline_in_ms(10000), &reply,
                   err));
    CHECK(text_equal(reply->device_id, vm_device_id(device)), "it calls itself %s", reply->device_id);
    return 0;
}
