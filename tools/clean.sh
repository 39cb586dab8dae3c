#!/usr/bin/env bash
# Removes what the set-up and `make up` leave in this directory, unless the local cloud runs.
set -euo pipefail

home=${LOCALCLOUD_HOME:-.local}
for noted in "$home"/pids/*.json; do
  [ -e "$noted" ] || continue
  pid=$(sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' "$noted")
  if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
    echo "clean: the local cloud still runs ($(basename "$noted" .json), process $pid): run make down first" >&2
    exit 1
  fi
done

rm -rf .venv localcloud/node_modules .local .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
