#!/usr/bin/env bash
# Makes .venv hold exactly what dev-requirements.txt locks. An existing .venv with a supported Python is kept.
set -euo pipefail

lock=dev-requirements.txt
echo "python: installing $lock into .venv" >&2
if ! .venv/bin/python -m pip --version 2>/dev/null | grep -Eq '\(python 3\.1[123]\)$'; then
  python=$(tools/python.sh)
  "$python" -m venv --clear .venv
fi

# pip installs uv, in the locked version; uv the rest, from the index that pip is configured to use.
sed -n '/^uv==/,/[^\\]$/p' "$lock" >.venv/uv.txt
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement .venv/uv.txt
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
# uv writes bytecode only when told to, and the offline preview writes none: without it every start would compile.
.venv/bin/uv pip sync --quiet --system-certs --compile-bytecode --python .venv/bin/python "$lock"
