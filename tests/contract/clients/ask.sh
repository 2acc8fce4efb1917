#!/usr/bin/env bash
# Ask a question and print the answer, with curl and jq alone: waits on /events for the end.
# ask.sh PORT QUESTION
set -euo pipefail
url=http://localhost:$1
exec {events}< <(exec curl -sN "$url/events")
reader=$!
trap 'kill "$reader" 2>/dev/null || true' EXIT
status() { sed -un 's/^data: \({.*"status".*\)$/\1/p' <&"$events" | jq --unbuffered -r .status; }
jq -nc --arg text "$2" '{type: "user", content: $text}' |
    curl -fsS -H 'Content-Type: application/json' --data-binary @- "$url/message" | jq -e .ok >/dev/null
running=no
while read -r now; do
    [ "$now" = running ] && running=yes
    if [ "$now" = stable ] && [ "$running" = yes ] && asked=$(
        curl -fsS "$url/messages" | jq -er '.messages | select(.[-1].role == "agent") | .[-1].content'
    ); then
        printf '%s\n' "$asked"
        exit 0
    fi
done < <(status)
