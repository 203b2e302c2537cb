/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/log_tail.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

enum { TAIL_BYTES = 4096, TAIL_LINES = 20 };

char *log_tail(const char *path)
{
    char buffer[TAIL_BYTES + 1];
    struct stat status;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0)
        return text_format("(%s)", strerror(errno));
    off_t offset = status.st_size > TAIL_BYTES ? status.st_size - TAIL_BYTES : 0;
    ssize_t size = pread(fd, buffer, TAIL_BYTES, offset);
    if (size < 0)
        return text_format("(%s)", strerror(errno));
    while (size > 0 && buffer[size - 1] == '\n')
        size--;
    if (size == 0)
        return text_copy("(empty)");
    buffer[size] = '\0';
    char *start = buffer + size;
    for (int lines = 0; start > buffer; start--) {
        if (start[-1] == '\n' && ++lines == TAIL_LINES)
            break;
    }
    return text_copy(start);
}
