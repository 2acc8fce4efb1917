#!/usr/bin/env bash
# Install Codex and write its configuration as Coder's module does, from the module's variables:
# ARG_INSTALL, ARG_CODEX_VERSION, ARG_BASE_CONFIG_TOML (b64), ARG_ADDITIONAL_MCP_SERVERS (b64),
# ARG_CODEX_INSTRUCTION_PROMPT (b64), ARG_OPENAI_API_KEY, ARG_REPORT_TASKS, ARG_CODEX_MODEL,
# ARG_LATEST_CODEX_MODEL, ARG_CODEX_START_DIRECTORY, ARG_MODEL_REASONING_EFFORT,
# ARG_ENABLE_AIBRIDGE, ARG_AIBRIDGE_CONFIG (b64), ARG_CODER_MCP_APP_STATUS_SLUG.
# The log goes to ~/.codex-module/install.log too.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
module="$HOME/.codex-module"
mkdir -p "$module"
chmod 700 "$module"
log="$module/install.log"
(umask 077 && touch "$log" && chmod 600 "$log") || true
exec > >(tee -a "$log") 2>&1
export PATH="$HOME/.npm-global/bin:$PATH"

"$root/scripts/setup" --no-codex

if [ "${ARG_INSTALL:-true}" = true ]; then
    command -v npm >/dev/null || {
        echo "npm was not found: install Node.js 18 or newer, or set ARG_INSTALL=false"
        exit 1
    }
    npm install --global --prefix "$HOME/.npm-global" --loglevel=error --no-audit --no-fund \
        "@openai/codex${ARG_CODEX_VERSION:+@$ARG_CODEX_VERSION}" </dev/null
fi
command -v codex >/dev/null && codex --version

given=$(mktemp -d)
trap 'rm -rf "$given"' EXIT
options=(--coder-mcp --workdir "${ARG_CODEX_START_DIRECTORY:-$PWD}")
mkdir -p "${ARG_CODEX_START_DIRECTORY:-$PWD}"

# file OPTION BASE64: hand over a text as a file, if there is one.
file() {
    [ -n "$2" ] || return 0
    printf %s "$2" | base64 -d >"$given/${1#--}"
    options+=("$1" "$given/${1#--}")
}
# text OPTION VALUE: hand over a value, if there is one.
text() { [ -z "$2" ] || options+=("$1" "$2"); }

file --base-config "${ARG_BASE_CONFIG_TOML:-}"
file --mcp-servers "${ARG_ADDITIONAL_MCP_SERVERS:-}"
file --instructions "${ARG_CODEX_INSTRUCTION_PROMPT:-}"
text --model "${ARG_CODEX_MODEL:-}"
text --latest-model "${ARG_LATEST_CODEX_MODEL:-}"
text --reasoning-effort "${ARG_MODEL_REASONING_EFFORT:-}"
text --app-status-slug "${ARG_CODER_MCP_APP_STATUS_SLUG:-}"
[ "${ARG_REPORT_TASKS:-false}" != true ] || options+=(--report-tasks)
key=${ARG_OPENAI_API_KEY:-}
if [ "${ARG_ENABLE_AIBRIDGE:-false}" = true ]; then
    options+=(--gateway aibridge)
    file --gateway-config "${ARG_AIBRIDGE_CONFIG:-}"
    text --access-url "${CODER_AGENT_URL:-}"
    key=
fi
OPENAI_API_KEY="$key" "$root/.venv/bin/agentapi" configure codex "${options[@]}"
