#!/usr/bin/env bash
# Start Codex and its API as Coder's module does: ARG_CODEX_TASK_PROMPT (base64), ARG_CONTINUE,
# ARG_CODEX_MODEL, ARG_REPORT_TASKS, ARG_CODEX_START_DIRECTORY, ARG_ENABLE_AIBRIDGE and
# AGENTAPI_BOUNDARY_PREFIX. Stays in the foreground; the log goes to ~/.codex-module/ too.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
module="$HOME/.codex-module"
mkdir -p "$module"
log="$module/agentapi-start.log"
# The log is nobody else's business; a home that does not let us close it stops nothing.
(umask 077 && chmod 700 "$module" && touch "$log" && chmod 600 "$log") || true
export PATH="$HOME/.npm-global/bin:$PATH"

prompt=$(printf %s "${ARG_CODEX_TASK_PROMPT:-}" | base64 -d)
options=(--workdir "${ARG_CODEX_START_DIRECTORY:-$PWD}" --continue="${ARG_CONTINUE:-true}")
[ -z "${ARG_CODEX_MODEL:-}" ] || options+=(--model "$ARG_CODEX_MODEL")
[ -n "${AGENTAPI_PID_FILE:-}" ] || options+=(--pid-file "$module/agentapi.pid")
if [ -n "$prompt" ]; then
    if [ "${ARG_REPORT_TASKS:-false}" = true ]; then
        options+=(--report-tasks)
    else
        prompt="Your task at hand: $prompt"
    fi
fi
# Module 4.1's AI Bridge is a profile, and only where one was written; a provider needs no flag.
if [ "${ARG_ENABLE_AIBRIDGE:-false}" = true ] && [ "${ARG_AIBRIDGE_PROFILE:-false}" = true ]; then
    options+=(--profile aibridge)
fi

# A variable, not a flag: the prompt is nobody else's business.
export AGENTAPI_PROMPT="$prompt"
exec "$root/.venv/bin/agentapi" codex "${options[@]}" </dev/null \
    2> >(exec env -u AGENTAPI_AUTH_TOKEN tee -ai "$log" >&2)
