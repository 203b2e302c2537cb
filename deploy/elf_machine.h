/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which machines a program is for, so that one for another machine is refused before it replaces one that works.
 */

#include <stdbool.h>
#include <stddef.h>

/**
 * What `uname -m` says on a machine an ELF program is for: "aarch64", "x86_64", …; "" for a machine not known here.
 * NULL: it is no ELF program. Borrowed. Source: elf(5), and the gABI's e_ident and e_machine.
 */
const char *elf_machine(const void *data, size_t size);

/** Does a program for `machine` run where `uname -m` says `device`? An ARM program runs on any later ARM of 32 bits. */
bool elf_machine_runs_on(const char *machine, const char *device);
