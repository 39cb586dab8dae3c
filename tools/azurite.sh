#!/usr/bin/env bash
# Installs Azurite, the local cloud's Blob Storage, as localcloud/package-lock.json locks it.
set -euo pipefail

if ! command -v npm >/dev/null; then
  echo "azurite: Node.js 20 or newer with npm is needed for the local cloud: install it and try again" >&2
  exit 1
fi
echo "azurite: installing it from npm" >&2
cd localcloud
npm ci --no-audit --no-fund --ignore-scripts --silent
