# SPDX-License-Identifier: Apache-2.0
# Sources of fleet_agent_runtime: what brings podman to the desired state.
set(agent_runtime_sources
  container_create.c container_match.c converge.c deployment.c deployment_table.c desired_store.c inbox.c
  init_containers.c json_lines.c look.c podman_client.c podman_events.c podman_list.c podman_pull.c reconciler.c
  reconciler_desired.c reconciler_pass.c removal.c retry_delay.c service_watch.c state_report.c work.c)
