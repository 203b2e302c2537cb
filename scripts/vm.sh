# SPDX-License-Identifier: Apache-2.0
# Whether virtual machines are tested here, and which; read by scripts/setup and scripts/test.

# They are where the gate is open (harness/test_gate.c) or CI requires them.
vm_wanted() {
    case ",${FLEET_E2E_REQUIRE:-}," in
    *,vm,*) return 0 ;;
    esac
    [ "${HARMONY_FLEET_VM_E2E:-}" = 1 ]
}

vm_architecture() {
    case ${FLEET_E2E_VM_ARCH:-aarch64} in
    aarch64 | x86_64) printf '%s\n' "${FLEET_E2E_VM_ARCH:-aarch64}" ;;
    *) die "FLEET_E2E_VM_ARCH=$FLEET_E2E_VM_ARCH: aarch64 or x86_64" ;;
    esac
}
