/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to doctor: what is odd about this machine and what the fleet does about it.
 */

#include <stddef.h>

struct quirk {
    char *title;       /**< "hard limits cannot be raised"; owned */
    char *explanation; /**< what follows from it and what is done about it; owned */
};

struct quirk_list {
    struct quirk *items;
    size_t count;
};

/** Find every quirk of this machine by trying. */
void quirks_find(struct quirk_list *ret);
void quirk_list_clear(struct quirk_list *list);
static inline void quirk_list_clear_at_exit(struct quirk_list *list)
{
    quirk_list_clear(list);
}
#define cleanup_quirk_list __attribute__((cleanup(quirk_list_clear_at_exit)))
