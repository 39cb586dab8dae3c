#!/usr/bin/env bash
# tools/stack.sh up|preview|preflight|down STACK [argument of pulumi ...]
set -euo pipefail

command=$1 stack=$2
shift 2
home=${LOCALCLOUD_HOME:-.local}

is_for_azure() {
  ! grep -qsE '^ *ai-platform:endpoints: *local( |$)' "Pulumi.$stack.yaml"
}

# Pulumi itself would create the stack in the local state, and write the local salt into the stack's settings.
refuse_local_environment() {
  [ -n "${PULUMI_DEBUG_PROVIDERS:-}${AZUREML_DEV_URL_MFE:-}" ] || return 0
  is_for_azure || return 0
  echo "$command: this shell has sourced $home/env, which sends $stack to the local cloud: use a new shell" >&2
  exit 1
}

# One line for each part of `make up`, as tools/up.py prints the resources.
phase() {
  printf '%-14s%s\n' "$1" "$2"
}

# Whether the variable with this name asks for what it names.
asks_for() {
  case ${!1:-} in
    1 | true | yes) ;;
    *) return 1 ;;
  esac
}

set_up() {
  local parts=(venv pulumi)
  [ "$stack" != local ] || parts+=(azurite)
  "${MAKE:-make}" -s -j3 "${parts[@]}" >&2
  . tools/environment.sh
}

start_local_cloud() {
  local said
  said=$(python -m localcloud start 2>&1) || { echo "$said" >&2 && return 1; }
  ! asks_for VERBOSE || echo "$said" >&2
  . "$home/env"
  said=$(pulumi stack select --create local 2>&1) || { echo "$said" >&2 && return 1; }
}

up() {
  set_up
  if [ "$stack" = local ]; then
    up_local "$@"
  else
    ! is_for_azure || python -m tools.preflight "$stack"
    pulumi up --stack "$stack" "$@"
  fi
}

up_local() {
  local started
  started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  phase Set-up "packages and Pulumi are installed"
  phase "Local cloud" "blob, snowflake, azure and providers, in $home"
  start_local_cloud
  if asks_for VERBOSE; then
    pulumi up --yes --suppress-progress --suppress-outputs --stack local "$@"
  else
    python tools/up.py "$@"
  fi
  python -m localcloud env >/dev/null
  . "$home/env"
  phase Imports "waiting for their jobs"
  python -m importer list --wait --since "$started"
}

preview() {
  set_up
  if [ "$stack" = local ]; then
    start_local_cloud
  elif asks_for OFFLINE; then
    echo "preview: offline and without state, so every resource shows as created" >&2
    ! asks_for SUMMARY || set -- --summary "$@"
    exec python -m tools.offline_preview "$stack" "$@"
  fi
  if asks_for SUMMARY; then
    exec python -m tools.preview_summary "$stack" "$@"
  fi
  pulumi preview --diff --stack "$stack" "$@"
}

preflight() {
  set_up
  python -m tools.preflight "$stack"
}

down() {
  if [ "$stack" != local ]; then
    set_up
    pulumi destroy --stack "$stack" "$@"
  elif [ -d "$home" ]; then
    set_up
    start_local_cloud
    pulumi destroy --yes --skip-preview --suppress-progress --stack local "$@"
    python -m localcloud stop
    echo "$home keeps the tables of the local Snowflake, its passwords, and logs (docs/local.md); rm -r $home removes them" >&2
  else
    echo "The local cloud was never up: nothing to do." >&2
  fi
}

[ "$stack" = local ] || { [ "$command" = preview ] && asks_for OFFLINE; } || refuse_local_environment
"$command" "$@"
