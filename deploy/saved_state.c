/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/saved_state.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define MAGIC     "LibvirtQemudSave" /* in 16 bytes, without a terminator */
#define VERSION   2u
#define DATA_MAX  (16u << 20)
#define ALIGNMENT 4096u /* of the stream in the copy: whole pages are copied */

struct header {
    char magic[16];
    uint32_t version;
    uint32_t data_size; /**< of what lies between header and stream */
    uint32_t was_running;
    uint32_t compression;   /**< 0: none */
    uint32_t cookie_offset; /**< in the data: where libvirt's own notes begin, 0: there are none */
    uint32_t unused[14];
};
_Static_assert(sizeof(struct header) == 92, "as libvirt has it");

static int refuse(struct error *err, const char *path, const char *why)
{
    return error_set(err, &general_error_domain, GENERAL_INVALID, "reading saved domain", path, "%s", why);
}

static int read_header(int fd, const char *path, struct header *header, struct error *err)
{
    ssize_t got = read(fd, header, sizeof(*header));

    if (got < 0)
        return error_set_errno(err, errno, "reading saved domain", path);
    if (got != sizeof(*header) || memcmp(header->magic, MAGIC, sizeof(header->magic)) != 0)
        return refuse(err, path, "it is none, or was not saved to its end");
    if (header->version != VERSION)
        return refuse(err, path, "it is of another version than 2");
    if (header->compression != 0)
        return refuse(err, path, "it is compressed");
    if (header->data_size > DATA_MAX || header->cookie_offset > header->data_size)
        return refuse(err, path, "its header makes no sense");
    return 0;
}

/** libvirt's notes, which stand behind the definition. "" if there are none. Caller frees *ret. */
static int read_notes(int fd, const char *path, const struct header *header, char **ret, struct error *err)
{
    size_t size = header->cookie_offset > 0 ? header->data_size - header->cookie_offset : 0;
    cleanup_free char *notes = memory_new(size + 1, 1);
    ssize_t got = pread(fd, notes, size, (off_t)(sizeof(*header) + header->cookie_offset));

    if (got < 0)
        return error_set_errno(err, errno, "reading saved domain", path);
    if ((size_t)got != size)
        return refuse(err, path, "it ends in its header");
    *ret = TAKE_PTR(notes);
    return 0;
}

/** Header, definition and notes, padded. */
static int write_head(int fd, const struct header *former, const char *definition, const char *notes)
{
    struct header header = *former;
    size_t definition_size = strlen(definition) + 1;
    size_t notes_size = *notes ? strlen(notes) + 1 : 0;
    size_t used = sizeof(header) + definition_size + notes_size;
    size_t size = (used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    cleanup_free char *head = memory_new(size, 1);

    header.data_size = (uint32_t)(size - sizeof(header));
    header.cookie_offset = notes_size > 0 ? (uint32_t)definition_size : 0;
    memcpy(head, &header, sizeof(header));
    memcpy(head + sizeof(header), definition, definition_size);
    memcpy(head + sizeof(header) + definition_size, notes, notes_size);
    return file_write_all(fd, head, size);
}

static int copy_stream(int from, int to, off_t offset)
{
    struct stat status;

    if (fstat(from, &status) < 0)
        return -1;
    while (offset < status.st_size) {
        if (sendfile(to, from, &offset, (size_t)(status.st_size - offset)) <= 0)
            return -1;
    }
    return 0;
}

int saved_state_copy(const char *from, const char *to, const char *definition, struct error *err)
{
    cleanup_close int source = open(from, O_RDONLY | O_CLOEXEC);
    cleanup_free char *notes = NULL;
    struct header header;

    if (source < 0)
        return error_set_errno(err, errno, "opening saved domain", from);
    if (read_header(source, from, &header, err) < 0 || read_notes(source, from, &header, &notes, err) < 0)
        return -1;
    cleanup_close int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (target < 0 || write_head(target, &header, definition, notes) < 0 ||
        copy_stream(source, target, (off_t)(sizeof(header) + header.data_size)) < 0)
        return error_set_errno(err, errno, "copying saved domain to", to);
    return 0;
}
