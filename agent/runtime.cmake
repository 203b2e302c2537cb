# SPDX-License-Identifier: Apache-2.0
# Sources of fleet_agent_runtime: what brings podman to the desired state.
set(agent_runtime_sources)
