/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/saved_state.h"

#include <stdint.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

/** As libvirt writes it. */
struct header {
    char magic[16];
    uint32_t version, data_size, was_running, compression, cookie_offset, unused[14];
};
static const char old_definition[] = "<domain><name>old</name></domain>";
static const char notes[] = "<cookie/>";
static const char stream[] = "QEVM the guest's memory";

static int make(const char *path, const struct header *header, struct error *err)
{
    cleanup_text_buffer struct text_buffer file = {0};

    text_buffer_append(&file, (const char *)header, sizeof(*header));
    text_buffer_append(&file, old_definition, sizeof(old_definition));
    text_buffer_append(&file, notes, sizeof(notes));
    text_buffer_append(&file, "\0\0\0", 3);
    text_buffer_append(&file, stream, sizeof(stream));
    return file_write_atomic(path, file.data, file.size, 0600, err);
}

static struct header usable(void)
{
    struct header header = {.version = 2,
                            .data_size = sizeof(old_definition) + sizeof(notes) + 3,
                            .was_running = 1,
                            .cookie_offset = sizeof(old_definition)};

    memcpy(header.magic, "LibvirtQemudSave", sizeof(header.magic));
    return header;
}

FLEET_TEST(saved_state, copy_has_the_other_definition_and_all_else)
{
    static const char other[] = "<domain><name>another one, and longer</name></domain>";
    struct header header = usable();
    struct run *run = NULL;
    cleanup_free char *copied = NULL;
    size_t size = 0;

    TRY(test_run(test, &run, err));
    cleanup_free char *from = text_format("%s/from", run_directory(run));
    cleanup_free char *to = text_format("%s/to", run_directory(run));
    TRY(make(from, &header, err));
    TRY(saved_state_copy(from, to, other, err));
    TRY(file_read(to, 1 << 20, &copied, &size, err));
    memcpy(&header, copied, sizeof(header));
    CHECK(header.version == 2 && header.was_running == 1, "the header changed");
    const char *data = copied + sizeof(header);
    CHECK(text_equal(data, other), "the definition is %s", data);
    CHECK(header.cookie_offset == sizeof(other) && text_equal(data + header.cookie_offset, notes), "notes are lost");
    CHECK(size == sizeof(header) + header.data_size + sizeof(stream), "it has %zu bytes", size);
    CHECK(memcmp(data + header.data_size, stream, sizeof(stream)) == 0, "the stream is another one");
    return 0;
}

FLEET_TEST(saved_state, what_is_none_is_refused)
{
    struct header header;
    struct run *run = NULL;

    TRY(test_run(test, &run, err));
    cleanup_free char *from = text_format("%s/from", run_directory(run));
    cleanup_free char *to = text_format("%s/to", run_directory(run));
    CHECK_FAILS(saved_state_copy(from, to, old_definition, err), system_error_domain, ENOENT);
    header = usable();
    header.magic[12] = 'P'; /* "LibvirtQemudPart": broken off */
    TRY(make(from, &header, err));
    CHECK_FAILS(saved_state_copy(from, to, old_definition, err), general_error_domain, GENERAL_INVALID);
    header = usable();
    header.version = 3;
    TRY(make(from, &header, err));
    CHECK_FAILS(saved_state_copy(from, to, old_definition, err), general_error_domain, GENERAL_INVALID);
    header = usable();
    header.compression = 1;
    TRY(make(from, &header, err));
    CHECK_FAILS(saved_state_copy(from, to, old_definition, err), general_error_domain, GENERAL_INVALID);
    header = usable();
    header.cookie_offset = header.data_size + 1;
    TRY(make(from, &header, err));
    CHECK_FAILS(saved_state_copy(from, to, old_definition, err), general_error_domain, GENERAL_INVALID);
    TRY(file_write_atomic(from, "LibvirtQemudSave", 16, 0600, err));
    CHECK_FAILS(saved_state_copy(from, to, old_definition, err), general_error_domain, GENERAL_INVALID);
    CHECK(!file_exists(to), "something was copied");
    return 0;
}
