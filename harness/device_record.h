/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How the devices of a run are reached, for people (`fleet-e2e ps`, `fleet-e2e ssh`): one document a device,
 * <run directory>/devices/<device>.json. Whoever brings a device up writes it; it goes with the run's directory.
 */

#include <stddef.h>

#include "base/error.h"

/** All strings are owned. */
struct device_record {
    char *run_directory;     /**< set by reading; not written */
    char *device;            /**< its id: [A-Za-z0-9_-]{1,63} */
    char *domain;            /**< of libvirt; NULL: no virtual machine */
    char *address;           /**< as seen from its network namespace */
    char *user;              /**< who logs in */
    char *private_key;       /**< path of the key that lets them in */
    char *host_key;          /**< what it must show: "ssh-ed25519 AAAA…" */
    char *network_namespace; /**< path, to be entered first; NULL: ours */
    char *libvirt_uri;       /**< may be NULL */
    char *console;           /**< path of its serial console's log; may be NULL */
    char *architecture;      /**< "aarch64", "x86_64"; may be NULL */
};
void device_record_clear(struct device_record *record);
static inline void device_record_clear_at_exit(struct device_record *record)
{
    device_record_clear(record);
}
#define cleanup_device_record __attribute__((cleanup(device_record_clear_at_exit)))

/** Grows; zero-initialised is empty. */
struct device_record_list {
    struct device_record *items;
    size_t count;
};
void device_record_list_clear(struct device_record_list *list);
static inline void device_record_list_clear_at_exit(struct device_record_list *list)
{
    device_record_list_clear(list);
}
#define cleanup_device_record_list __attribute__((cleanup(device_record_list_clear_at_exit)))

/**
 * Write (atomically, 0600) or replace it. Errors: GENERAL_INVALID for a device name that is none, an address or user
 * that begins with '-' or is missing, a control character anywhere; system.
 */
MUST_CHECK int device_record_write(const char *run_directory, const struct device_record *record, struct error *err);
/** Errors: system/ENOENT, json, GENERAL_INVALID as for writing. */
MUST_CHECK int device_record_read(const char *run_directory, const char *device, struct device_record *ret,
                                  struct error *err);
/** Take it away; none is fine. */
MUST_CHECK int device_record_remove(const char *run_directory, const char *device, struct error *err);
/** Append those of one run, by name; one that cannot be read is passed over. */
MUST_CHECK int device_records_of_run(const char *run_directory, struct device_record_list *ret, struct error *err);
/** Append those of all runs there are, live or kept. */
MUST_CHECK int device_records_of_all(struct device_record_list *ret, struct error *err);

/**
 * The one whose device or domain has this name, else whose device or domain alone begins with it. Borrowed from `list`.
 * Errors: GENERAL_NOT_FOUND, listing those there are; GENERAL_CONFLICT, listing those it could be.
 */
MUST_CHECK int device_record_find(const struct device_record_list *list, const char *name,
                                  const struct device_record **ret, struct error *err);
