/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names of the fleet's Kubernetes API: group fleet.harmony.io/v1alpha1.
 */

#define FLEET_API_GROUP      "fleet.harmony.io"
#define FLEET_API_VERSION    FLEET_API_GROUP "/v1alpha1"
#define FLEET_FINALIZER      FLEET_API_GROUP "/desired-state"
#define FLEET_LABEL_FLEET    FLEET_API_GROUP "/fleet"     /* on Devices: the namespace whose operator they belong to */
#define FLEET_LABEL_DEVICE   FLEET_API_GROUP "/device-id" /* on Devices and agents' Pods */
#define FLEET_FIELD_MANAGER  "harmony-fleet-operator"     /* of Devices: followed by '/' and the fleet */
#define FLEET_DEPLOY_MANAGER "harmony-fleet-deploy"
#define FLEET_OPERATOR_LEASE "harmony-fleet-operator"
