#!/usr/bin/env bash
# Makes .venv hold exactly what requirements.txt locks.
set -euo pipefail

echo "python: installing requirements.txt into .venv" >&2
if ! .venv/bin/python -m pip --version 2>/dev/null | grep -q '(python 3.11)$'; then
  python=$(tools/python.sh)
  "$python" -m venv --clear .venv
fi

# pip brings uv, in its locked version; uv the rest, from the index that pip is configured to use.
uv_requirement() { sed -n '/^uv==/,/[^\\]$/p' requirements.txt; }
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement <(uv_requirement)
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
.venv/bin/uv pip sync --quiet --system-certs --python .venv/bin/python requirements.txt
