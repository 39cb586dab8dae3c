#!/usr/bin/env bash
# Prints the command of a Python 3.11: $PYTHON, python3.11 or python3.
set -euo pipefail

for candidate in ${PYTHON:-python3.11 python3}; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
    echo "$candidate"
    exit
  fi
done
echo "python: 3.11 is needed and none of these is it: ${PYTHON:-python3.11 python3}; install it or set PYTHON" >&2
exit 1
