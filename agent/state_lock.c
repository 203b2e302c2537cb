/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/state_lock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

#define DIRECTORY_MODE 0700

int state_lock_take(const char *state_directory, int *fd, struct error *err)
{
    static const char operation[] = "locking the state directory";

    if (directory_create(state_directory, DIRECTORY_MODE, err) < 0)
        return error_wrap(err, "preparing the state directory", NULL);
    cleanup_close int opened = open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0)
        return error_set_errno(err, errno, operation, state_directory);
    if (flock(opened, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return error_set(err, &general_error_domain, GENERAL_CONFLICT, operation, state_directory,
                             "another agent uses it; each needs a state directory and a device id of its own");
        /* A file system without locks is no reason not to run. */
        log_warning("the state directory cannot be locked", LOG_TEXT("directory", state_directory),
                    LOG_TEXT("reason", strerror(errno)));
    }
    *fd = TAKE_FD(opened);
    return 0;
}
