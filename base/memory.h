/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Small allocations. Running out of memory for one ends the program with a message (the service manager restarts it
 * and containers outlive the agent), so no caller carries an untested error path for it. Sizes that come from outside
 * are bounded by their parser before anything is allocated for them.
 */

#include <stddef.h>

/** Zeroed memory for `count` objects of `size` bytes. Never NULL; caller frees. */
void *memory_new(size_t count, size_t size);
/** Like realloc(3). Never NULL. */
void *memory_resize(void *pointer, size_t count, size_t size);
/** `pointer` from a library whose only failure is to run out of memory: never NULL. */
void *memory_checked(void *pointer);

#define NEW(type)              ((type *)memory_new(1, sizeof(type)))
#define NEW_ARRAY(type, count) ((type *)memory_new((count), sizeof(type)))
