#!/usr/bin/env bash
# Stop a workspace's server: save, post the last messages to Coder, end it, wait for its end.
# Takes the variables of Coder's shutdown script; they stand in agentapi/coder/shutdown.py.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
exec "$root/.venv/bin/python" -I -m agentapi.coder.shutdown # -I: nothing of the current folder
