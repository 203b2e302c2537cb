# SPDX-License-Identifier: Apache-2.0
# Whether Pods are tested here, and on which cluster; read by scripts/setup and scripts/test.

# They are where the gate is open (harness/test_gate.c) or CI requires them.
pod_wanted() {
    case ",${FLEET_E2E_REQUIRE:-}," in
    *,pod,*) return 0 ;;
    esac
    [ "${HARMONY_FLEET_E2E:-}" = 1 ]
}

# The same choice as harness/cluster_environment.c makes.
native_cluster_wanted() {
    pod_wanted || return 1
    case ${FLEET_E2E_CLUSTER:-} in
    native) return 0 ;;
    '') [ -z "${KUBECONFIG:-}" ] && ! command -v k3d >/dev/null ;;
    *) return 1 ;;
    esac
}
