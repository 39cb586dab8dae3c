#!/usr/bin/env bash
# Prints the command of the Python to use: $PYTHON, else the newest supported one on PATH.
set -euo pipefail

candidates=${PYTHON:-python3.13 python3.12 python3.11 python3}
for candidate in $candidates; do
  if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
    echo "$candidate"
    exit
  fi
done
echo "python: Python 3.11, 3.12 or 3.13 (with venv) is needed. Tried: $candidates. Install one, or set PYTHON" >&2
exit 1
