/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/linux_host.h"

#include <stdlib.h>

void service_status_clear(struct service_status *status)
{
    free(status->log_path);
    *status = (struct service_status){0};
}
