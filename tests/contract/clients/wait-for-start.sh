#!/usr/bin/env bash
# Wait as a workspace's start script does: three answers in a row, at most 15 seconds.
# wait-for-start.sh PORT
set -euo pipefail
port=$1
deadline=$((SECONDS + 15)) row=0
while [ "$row" -lt 3 ]; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "no server on port $port" >&2; exit 1; }
    if curl -fsS --max-time 2 "http://localhost:$port/status" 2>/dev/null |
        jq -e '.status == "running" or .status == "stable"' >/dev/null; then
        row=$((row + 1))
    else
        row=0
    fi
    sleep 0.1
done
echo "agentapi answers on port $port"
