/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Internal to the table of resource kinds (resource.c): the kinds that virtual machines need.
 *
 * Domains and virtual networks have the name "<connection URI> <name>", for example
 * "qemu+unix:///system?socket=/tmp/…/libvirt-sock fleet-e2e-vm-1a2b3c4d-0".
 */

#include "harness/resource.h"

/** A virtual machine: of any hypervisor, its name begins with fleet-e2e-vm-. See struct resource_type for all of these. */
int domain_check(const struct run_place *place, const char *name, struct error *err);
int domain_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err);
void domain_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                     struct text_buffer *remove);

/** A virtual network: its name begins with fleet-e2e-, or its hypervisor's socket is below the run's directory. */
int libvirt_network_check(const struct run_place *place, const char *name, struct error *err);
int libvirt_network_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err);
void libvirt_network_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                              struct text_buffer *remove);

/** A file of its own (a volume, saved RAM): where removable_check lets a directory be. */
int volume_undo(const struct run_place *place, const char *name, struct deadline deadline, struct error *err);
void volume_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                     struct text_buffer *remove);

/** A name in /run/netns that begins with fleet-e2e-. */
int network_namespace_check(const struct run_place *place, const char *name, struct error *err);
int network_namespace_undo(const struct run_place *place, const char *name, struct deadline deadline,
                           struct error *err);
void network_namespace_describe(const struct run_place *place, const char *name, struct text_buffer *inspect,
                                struct text_buffer *remove);

/* undo_libvirt.c */

/** Split a journalled name at its last blank: *uri (caller frees) and *object (within `name`); -1: there is none. */
MUST_CHECK int libvirt_name_split(const char *name, char **uri, const char **object);
/** The path in the parameter "socket" of a connection URI, decoded; NULL: it has none. Caller frees. */
char *libvirt_uri_socket(const char *uri);
/**
 * Remove a "domain" or "network" by libvirt; try again until the deadline, and never wait longer, whatever the daemon
 * does. A daemon whose socket is not there or refuses has ended, and all it had with it.
 * Errors: system/EBUSY in libvirt's words; GENERAL_NOT_FOUND when fleet-libvirt-remove cannot be found.
 */
MUST_CHECK int libvirt_object_remove(const char *kind, const char *name, struct deadline deadline, struct error *err);

/* undo_network_namespace.c */

/**
 * What `ip netns delete` does: detach what is mounted on <directory>/<name> (/run/netns) and remove the file. The
 * namespace ends with the last process in it. Errors: system (EBUSY when it stays mounted, EPERM without root).
 */
MUST_CHECK int network_namespace_remove(const char *directory, const char *name, struct deadline deadline,
                                        struct error *err);
