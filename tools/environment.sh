# Sourced after the set-up: the virtual environment and the Pulumi CLI come first on PATH.
AI_PLATFORM_PULUMI_BIN=$(.venv/bin/python tools/pulumi/install.py 2>/dev/null)
export AI_PLATFORM_PULUMI_BIN
export PATH="$PWD/.venv/bin:$AI_PLATFORM_PULUMI_BIN:$PATH"
export PULUMI_SKIP_UPDATE_CHECK=true
