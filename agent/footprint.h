/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Giving back memory that only starting needed: pages of code that ran once, and freed heap. What is needed again comes
 * back from the page cache.
 */

void footprint_trim(void);
