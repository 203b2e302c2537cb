/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What podman does on a device, seen by `podman events` there and streamed over the device's SSH session.
 */

#include "base/text.h"
#include "fixtures/vm_device.h"

struct vm_event_recorder;
/** Record events of containers and images from now on, in a thread. The device must outlive the recorder. */
MUST_CHECK int vm_event_recorder_start(struct vm_device *device, struct vm_event_recorder **ret, struct error *err);
/** Events that have arrived so far with our label for `deployment` (NULL: all, those of images too). */
size_t vm_event_recorder_count(struct vm_event_recorder *recorder, const char *deployment);
/** Readable when something arrived: as wait_options.wake_fd. Borrowed; drained by vm_event_recorder_count(). */
int vm_event_recorder_fd(const struct vm_event_recorder *recorder);
/** Wait until an event of the deployment has arrived. Errors: GENERAL_TIMEOUT; why the stream ended. */
MUST_CHECK int vm_event_recorder_wait(struct vm_event_recorder *recorder, const char *deployment,
                                      struct deadline deadline, struct error *err);
/**
 * Stop, and ask podman once more for everything since the start, so that nothing is missed. *ret: "type action name" lines
 * of the deployment (NULL: all), in the order of their arrival. Errors: why the stream ended before.
 */
MUST_CHECK int vm_event_recorder_stop(struct vm_event_recorder *recorder, const char *deployment, struct text_list *ret,
                                      struct error *err);
/** Stops it. NULL is fine. */
void vm_event_recorder_free(struct vm_event_recorder *recorder);
DEFINE_CLEANUP(struct vm_event_recorder *, vm_event_recorder_free)
