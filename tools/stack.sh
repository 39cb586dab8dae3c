#!/usr/bin/env bash
# tools/stack.sh up|preview|down STACK [argument of pulumi ...]
set -euo pipefail

command=$1 stack=$2
shift 2
home=${LOCALCLOUD_HOME:-.local}

# Pulumi itself would create the stack in the local state, and write the local salt into the stack's settings.
refuse_local_environment() {
  [ -n "${PULUMI_DEBUG_PROVIDERS:-}${AZUREML_DEV_URL_MFE:-}" ] || return 0
  ! grep -qsE '^ *ai-platform:endpoints: *local( |$)' "Pulumi.$stack.yaml" || return 0
  echo "$command: this shell has sourced $home/env, which sends $stack to the local cloud: use a new shell" >&2
  exit 1
}

set_up() {
  local parts=(venv pulumi)
  [ "$stack" != local ] || parts+=(azurite)
  "${MAKE:-make}" -s -j3 "${parts[@]}" >&2
  . tools/environment.sh
}

start_local_cloud() {
  python -m localcloud start >&2
  . "$home/env"
  local said
  said=$(pulumi stack select --create local 2>&1) || { echo "$said" >&2 && return 1; }
}

offline() {
  case ${OFFLINE:-} in
    1 | true | yes) ;;
    *) return 1 ;;
  esac
}

up() {
  set_up
  if [ "$stack" = local ]; then
    start_local_cloud
    local started
    started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    pulumi up --yes --suppress-progress --suppress-outputs --stack local "$@"
    python -m localcloud env >/dev/null
    . "$home/env"
    python -m importer list --wait --since "$started"
  else
    pulumi up --stack "$stack" "$@"
  fi
}

preview() {
  set_up
  if [ "$stack" = local ]; then
    start_local_cloud
  elif offline; then
    echo "preview: offline and without state, so every resource shows as created" >&2
    exec python tools/offline_preview.py "$stack" "$@"
  fi
  pulumi preview --diff --stack "$stack" "$@"
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
  else
    echo "The local cloud was never up: nothing to do." >&2
  fi
}

[ "$stack" = local ] || { [ "$command" = preview ] && offline; } || refuse_local_environment
"$command" "$@"
