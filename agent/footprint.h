/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Giving back memory that only starting needed: pages of code that ran once, and freed heap. What is needed again comes
 * back from the page cache.
 */

/** Give back what can be had again. Costs some page faults afterwards. */
void footprint_trim(void);
