/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A segment that cannot be written is the file's own bytes (relocations are in writable ones), so dropping its resident
 * pages loses nothing. Most of them are libcurl's and its libraries', touched once by the dynamic linker.
 */
static int drop_segments(struct dl_phdr_info *object, size_t size, void *context)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)context;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~(page - 1);

        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) || end <= begin)
            continue;
        // NOLINTNEXTLINE(performance-no-int-to-ptr): ELF headers give addresses as integers
        madvise((void *)begin, end - begin, MADV_DONTNEED); /* the vdso refuses, rightly */
    }
    return 0;
}

void footprint_trim(void)
{
    malloc_trim(0);
    dl_iterate_phdr(drop_segments, NULL);
}
