/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What makes a running guest another one: what the kernel and services hold in memory. Called as root.
 */

#include "images/vm/seed.h"

/**
 * Give the seed's bytes to the kernel's random number generator, mixed with the clocks (a guest may boot from the same
 * seed many times), and have it reseed at once. Errors: system (errno). Source: random(4), RNDADDENTROPY.
 */
MUST_CHECK int identity_live_random(const struct seed *seed, struct error *err);

/**
 * Set the system's clock, which stood still while the guest was saved, by the hardware's, unless they agree to the
 * second. Errors: system (errno). Source: rtc(4).
 */
MUST_CHECK int identity_live_clock(struct error *err);

/** sethostname(2). Errors: system (errno). */
MUST_CHECK int identity_live_hostname(const char *hostname, struct error *err);

/**
 * Give the first network card the seed's MAC address, if it has one and the card another. Errors: system (errno);
 * general/GENERAL_NOT_FOUND without a card. Source: netdevice(7).
 */
MUST_CHECK int identity_live_mac(const struct seed *seed, struct error *err);

/** Have systemd start journald anew, without waiting for it: it keeps the machine-id it began with. */
void identity_live_journal(void);
