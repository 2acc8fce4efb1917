"""The real Codex, in its sandbox with the network open (as Coder has it), against its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentapi.scripted import ScriptedModel
from tests.support.codex import CodexHome
from tests.support.server import codex_server

pytestmark = pytest.mark.codex

SANDBOX = """sandbox_mode = "workspace-write"
sandbox_workspace_write = { network_access = true }"""

ATTACK = r"""
url=$1 orphan=${2-} parent=${3-}
json='Content-Type: application/json'

ask() { # NAME CURL-WORDS...
    name=$1
    shift
    curl -s -m 10 -o "answer.$name" -w '%{http_code}' "$@" >"$name.part"
    mv "$name.part" "code.$name"
}
raw() { ask "$1" -H "$json" -d '{"type":"raw","content":"stolen"}' "$url/message"; }

if [ "$orphan" ]; then
    while kill -0 "$parent" 2>/dev/null; do sleep 0.05; done
    raw "$orphan"
    exit
fi
sh -c "setsid bash $0 $url in_a_session \$\$ &"
sh -c "(setsid sh -c 'setsid bash $0 $url twice_forked \$\$ &' &)"
sh -c "nohup bash $0 $url nohup \$\$ >/dev/null 2>&1 &"

ask status "$url/status"
ask messages "$url/messages"
exec 3< <(exec curl -sN -m 10 "$url/events" 2>/dev/null)
stream=$!
head -n 1 <&3 >code.events
kill "$stream" # it would write, and learn that nobody reads, when there is news
raw raw
ask user -H "$json" -d '{"type":"user","content":"stolen"}' "$url/message"
ask approval -H "$json" -d '{"id":"1","choice":"1"}' "$url/approval"
ask interrupt -X POST "$url/interrupt"
ask queue -H "$json" -d '{"content":"stolen"}' "$url/queue"
ask cancel -X DELETE "$url/queue/1"
echo stolen >stolen
ask upload -F file=@stolen "$url/upload"
ask terminal -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' "$url/terminal"
ask screen "$url/internal/screen"

for name in in_a_session twice_forked nohup; do
    until [ -e "code.$name" ]; do sleep 0.05; done
done
echo done
"""
READ = {"status": "200", "messages": "200", "events": "event: message_update\n"}
"""What Coder's MCP server, a child of Codex, reports from."""
REFUSED = (
    *("raw", "user", "approval", "interrupt", "queue", "cancel", "upload", "terminal", "screen"),
    *("in_a_session", "twice_forked", "nohup"),
)


def sandboxed(home: CodexHome) -> None:
    config = home.codex_home / "config.toml"
    text = config.read_text().replace('sandbox_mode = "danger-full-access"', SANDBOX)
    config.write_text(text)
    (home.workdir / "attack.sh").write_text(ATTACK)


@pytest.mark.parametrize(
    ("version", "link"),
    [(None, "on"), (None, "off"), ("0.142.0", "on"), ("0.80.0", "off")],
)
async def test_a_sandboxed_codex_cannot_drive_its_server(
    scratch: Path, model: ScriptedModel, version: str | None, link: str
) -> None:
    async with codex_server(
        scratch, model, "--codex-link", link, version=version, prepare=sandboxed
    ) as (server, home):
        await server.ready()
        await server.turn(f"run bash attack.sh {server.url}")
        codes = {file.suffix[1:]: file.read_text() for file in home.workdir.glob("code.*")}
        assert codes == READ | dict.fromkeys(REFUSED, "403")
        assert "stolen" not in str(await server.messages())
