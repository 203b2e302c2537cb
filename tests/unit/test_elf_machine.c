/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/elf_machine.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/text.h"
#include "harness/test.h"

#define PROGRAM_MAX (256u << 20) /* this one */

FLEET_TEST(elf_machine, of_this_program_is_this_machine)
{
    cleanup_free char *program = NULL;
    struct utsname machine;
    size_t size;

    TRY(file_read("/proc/self/exe", PROGRAM_MAX, &program, &size, err));
    CHECK(uname(&machine) == 0, "uname failed");
    const char *found = elf_machine(program, size);
    CHECK(found && elf_machine_runs_on(found, machine.machine), "%s does not run on %s", found ? found : "no program",
          machine.machine);
    return 0;
}

static const char *machine_of(unsigned int machine, unsigned char class, unsigned char order)
{
    Elf64_Ehdr header = {.e_ident = ELFMAG, .e_machine = (Elf64_Half)machine};

    header.e_ident[EI_CLASS] = class;
    header.e_ident[EI_DATA] = order;
    return elf_machine(&header, sizeof(header));
}

FLEET_TEST(elf_machine, is_named_as_uname_names_it)
{
    CHECK(text_equal(machine_of(EM_AARCH64, ELFCLASS64, ELFDATA2LSB), "aarch64"), "no aarch64");
    CHECK(text_equal(machine_of(EM_X86_64, ELFCLASS64, ELFDATA2LSB), "x86_64"), "no x86_64");
    CHECK(text_equal(machine_of(EM_X86_64, ELFCLASS32, ELFDATA2LSB), ""), "x32 is not x86_64");
    CHECK(text_equal(machine_of(EM_AARCH64, ELFCLASS64, ELFDATA2MSB), ""), "the byte order is another one");
    CHECK(text_equal(machine_of(EM_S390, ELFCLASS64, ELFDATA2LSB), ""), "an unknown machine has a name");
    return 0;
}

FLEET_TEST(elf_machine, knows_what_is_no_program)
{
    static const char script[80] = "#!/bin/sh\n";
    Elf64_Ehdr header = {.e_ident = ELFMAG};

    CHECK(!elf_machine(script, sizeof(script)), "a script is a program");
    CHECK(!elf_machine("", 0), "nothing is a program");
    CHECK(!elf_machine(&header, sizeof(Elf32_Ehdr) - 1), "a part of a header is a program");
    return 0;
}

FLEET_TEST(elf_machine, runs_on_its_own_kind)
{
    CHECK(elf_machine_runs_on("aarch64", "aarch64") && !elf_machine_runs_on("aarch64", "x86_64"), "aarch64");
    CHECK(elf_machine_runs_on("arm", "armv7l") && !elf_machine_runs_on("arm", "aarch64"), "arm");
    CHECK(elf_machine_runs_on("i386", "i686") && !elf_machine_runs_on("i386", "x86_64"), "i386");
    CHECK(!elf_machine_runs_on("", ""), "an unknown machine runs anywhere");
    return 0;
}
