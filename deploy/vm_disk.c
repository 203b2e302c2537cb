/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/vm_disk.h"

#include "base/process.h"

int vm_disk_make(const char *path, const char *image, const char *format, struct deadline deadline, struct error *err)
{
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", image, path, NULL};
    struct process_options options = {.argv = argv};

    if (process_run_checked(&options, deadline, NULL, err) < 0)
        return error_wrap(err, "making disk", path);
    return 0;
}
