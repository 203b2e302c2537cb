/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/elf_machine.h"

#include <elf.h>
#include <string.h>

#include "base/text.h"

static const struct {
    unsigned int machine; /* e_machine */
    unsigned char class;  /* e_ident[EI_CLASS] */
    const char *name;     /* as uname(2), or what all its names begin with */
} machines[] = {
    {EM_AARCH64, ELFCLASS64, "aarch64"}, {EM_X86_64, ELFCLASS64, "x86_64"}, {EM_ARM, ELFCLASS32, "arm"},
    {EM_386, ELFCLASS32, "i386"},        {EM_RISCV, ELFCLASS64, "riscv64"},
};

const char *elf_machine(const void *data, size_t size)
{
    /* Both classes agree up to here; the byte order is that of the machine it is for. */
    enum { MACHINE_OFFSET = offsetof(Elf64_Ehdr, e_machine) };
    const unsigned char *bytes = data;

    if (size < sizeof(Elf32_Ehdr) || memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return NULL;
    if (bytes[EI_DATA] != ELFDATA2LSB)
        return "";
    unsigned int machine = bytes[MACHINE_OFFSET] | (unsigned int)bytes[MACHINE_OFFSET + 1] << 8;
    for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
        if (machines[i].machine == machine && machines[i].class == bytes[EI_CLASS])
            return machines[i].name;
    }
    return "";
}

bool elf_machine_runs_on(const char *machine, const char *device)
{
    if (text_equal(machine, "arm")) /* armv6l, armv7l, armv8l */
        return text_starts_with(device, "armv");
    if (text_equal(machine, "i386")) /* i386 to i686 */
        return strlen(device) == 4 && device[0] == 'i' && text_ends_with(device, "86");
    return *machine && text_equal(machine, device);
}
