"""The conversations that are recorded with every Codex version."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from agentapi.agents.codex.versions import (
    ALTERNATE_SCREEN,
    EARLY_MODEL_OFFER,
    END_MARK,
    FORMS,
    HOOKS,
    MODEL_OFFER,
    PAGER,
    Feature,
)
from agentapi.scripted import ScriptedModel
from tests.support.codex import PROJECT, CodexHome, codex_command
from tests.support.terminal import Terminal

WORKING = "esc to interrupt)"
_FORM = re.compile(r"^  (?:Question|Field) \d/\d", re.MULTILINE)


class Live:
    """A running Codex in the middle of a scenario."""

    def __init__(
        self, version: str, scenario: Scenario, home: CodexHome, model: ScriptedModel
    ) -> None:
        self.version = version
        self.scenario = scenario
        self.home = home
        self.model = model
        self.terminal: Terminal
        self.session_id = ""

    async def ready(self) -> None:
        """Wait until the composer takes a prompt."""
        await self.terminal.until(composer_ready, limit=60)
        await self.terminal.quiet(1.0)

    async def paste(self, text: str) -> None:
        """Paste a prompt and wait until the composer has drawn it."""
        self.terminal.write(f"\x1b[200~{text}\x1b[201~", "prompt")
        await self.terminal.quiet(0.3)

    async def enter(self) -> None:
        """Press Enter and wait until the model was asked."""
        count = len(self.model.requests) + 1
        self.terminal.write("\r", "enter")
        await self.model.wait_for_request(count)

    async def done(self) -> None:
        """Wait for the end of the turn and of its drawing."""
        await self.terminal.until(self._is_done, limit=120)
        await self.terminal.quiet(0.8)
        await self.terminal.until(self._is_done, limit=120)

    async def turn(self, prompt: str) -> None:
        """A whole turn: paste, Enter, the answer to its end."""
        await self.paste(prompt)
        await self.enter()
        await self.done()

    async def key(self, text: str, quiet: float = 0.5) -> None:
        """Press a key and let the screen settle."""
        self.terminal.write(text)
        await self.terminal.quiet(quiet)

    async def quit(self) -> None:
        """Leave Codex, as a user does."""
        self.terminal.write("\x03")
        await self.terminal.quiet(0.4)
        if self.terminal.exit_status is None:
            self.terminal.write("\x03")
        await self.terminal.ended()

    def _is_done(self, screen: str) -> bool:
        return self.model.finished == len(self.model.requests) and WORKING not in screen


def composer_ready(screen: str) -> bool:
    """Whether the composer stands on the screen, with its hint or footer below."""
    return "› " in screen and ("shortcuts" in screen or "gpt-5.4" in screen.split("› ")[-1])


Play = Callable[[Live], Awaitable[None]]


def _no_arguments(_: Live) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Scenario:
    """What to do with a Codex, and how it is set up."""

    name: str
    play: Play
    size: tuple[int, int] = (80, 1000)
    """Columns, rows."""
    inline: bool = False
    approvals: bool = False
    trusted: bool = True
    retries: int = 0
    """How often Codex tries again when a stream breaks."""
    config: str = ""
    feature: Feature | None = None
    """What a version must have for it."""
    prepare: Callable[[CodexHome], None] | None = None
    before: Play | None = None
    """Runs first, unrecorded."""
    arguments: Callable[[Live], Sequence[str]] = _no_arguments

    def fits(self, version: str) -> bool:
        """Whether a version can do it."""
        return self.feature is None or self.feature.of(version)


def prompts(*texts: str) -> Play:
    """Play: these turns, one after the other."""

    async def play(live: Live) -> None:
        await live.ready()
        for text in texts:
            await live.turn(text)

    return play


async def start(live: Live) -> None:
    """Nothing but the start."""
    await live.ready()


def popup(text: str) -> Play:
    """Type (not paste) a few characters that open a popup."""

    async def play(live: Live) -> None:
        await live.ready()
        (live.home.workdir / "README.md").write_text("A file to mention.\n", encoding="utf-8")
        for character in text:
            live.terminal.write(character)
            # By the clock: 0.169 redraws a hundred times a second while a popup searches.
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.8)

    return play


def approval(prompt: str, *keys: str) -> Play:
    """Bring up an approval dialog and answer it."""

    async def play(live: Live) -> None:
        await live.ready()
        await live.paste(prompt)
        await live.enter()
        await live.terminal.until(is_approval)
        await asyncio.sleep(1.2)  # by the clock: the title of some versions blinks without end
        for key in keys:
            live.terminal.write(key)
            await asyncio.sleep(0.5)
        if keys:
            await live.done()

    return play


def is_approval(screen: str) -> bool:
    """Whether a dialog shows that asks for an approval or an answer."""
    signs = ("Would you like to", "Press enter to confirm", "Yes, ", "  Server: ")
    return any(sign in screen for sign in signs) or bool(_FORM.search(screen))


async def interrupt(live: Live) -> None:
    """Esc in the middle of an answer."""
    await live.ready()
    await live.paste("slow 100")
    await live.enter()
    await live.terminal.until("word10")
    await live.key("\x1b", 0.8)


async def interrupt_tool(live: Live) -> None:
    """Esc while a command runs."""
    await live.ready()
    await live.paste("sleep 30")
    await live.enter()
    await live.terminal.until(command_runs)
    await live.key("\x1b", 0.8)


def command_runs(screen: str) -> bool:
    """Whether a command runs; newer versions say so in the status line only, until it ends."""
    return "background terminal" in screen or "• Running " in screen


async def slow_thinking(live: Live) -> None:
    """A model that is silent for so long that newer versions show a tip under `Working`."""
    await live.ready()
    live.model.hold()
    await live.paste("hello")
    await live.enter()
    await asyncio.sleep(34)
    live.model.release()
    await live.done()


async def retrying(live: Live) -> None:
    """A stream that breaks each time: Codex says that it reconnects, then gives up."""
    await live.ready()
    await live.paste("break")
    await live.enter()
    await live.model.wait_for_request(3)
    await live.done()


async def long_paste(live: Live) -> None:
    """A paste that the composer shows as a placeholder; not sent."""
    await live.ready()
    await live.paste("x" * 5000)
    await live.terminal.quiet(0.5)


async def leave(live: Live) -> None:
    """One turn, then out."""
    await live.ready()
    await live.turn("hello")
    await live.quit()


async def dialog(live: Live) -> None:
    """A dialog that stands instead of the composer; left unanswered."""
    await live.terminal.until(lambda screen: len(screen.strip()) > 40)
    await asyncio.sleep(0.6)  # by the clock: the sign-in screen is animated without end


def command(text: str, *keys: str) -> Play:
    """A command of the TUI that opens something instead of the composer; left open."""

    async def play(live: Live) -> None:
        await live.ready()
        await live.key(text)
        for key in ("\r", *keys):
            await live.key(key, 0.8)

    return play


async def pager(live: Live) -> None:
    """The page that shows the conversation so far, before 0.158 on a screen of its own."""
    await live.ready()
    await live.turn("1. first\n2. second")
    await live.key("\x14", 0.8)


async def newer_model(live: Live) -> None:
    """The question about a newer model, which 0.158 and later ask after they painted a composer."""
    await live.terminal.until("Use existing model")
    await live.terminal.quiet(0.6)


async def hook(live: Live) -> None:
    """The question about a new hook, answered with its review, down to the hook itself."""
    await live.terminal.until("Review hooks")
    await live.terminal.quiet(0.6)
    for key, page in (("1", "Lifecycle hooks"), ("\r", "SessionStart hooks")):
        live.terminal.write(key)
        await live.terminal.until(page)
        await live.terminal.quiet(0.8)


async def trust_accepted(live: Live) -> None:
    """The trust dialog, answered with its first choice."""
    await dialog(live)
    live.terminal.write("\r")
    await live.ready()


async def two_turns_before(live: Live) -> None:
    """Make a session to resume."""
    command = codex_command(live.version, inline=live.scenario.inline)
    live.terminal = Terminal.spawn(
        command, live.home.environment(), live.home.workdir, *live.scenario.size
    )
    try:
        await live.ready()
        await live.turn("hello there")
        await live.turn("markdown")
        await live.quit()
    finally:
        await live.terminal.close()
    first = live.home.rollouts()[-1].read_text(encoding="utf-8").splitlines()[0]
    live.session_id = json.loads(first)["payload"]["id"]


def as_outdated(home: CodexHome) -> None:
    """What Codex's own update check leaves behind when there is a newer version."""
    config = home.codex_home / "config.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("check_for_update_on_startup = false\n", ""), encoding="utf-8")
    seen = {"latest_version": "99.0.0", "last_checked_at": f"{datetime.now(UTC):%FT%TZ}"}
    (home.codex_home / "version.json").write_text(json.dumps(seen), encoding="utf-8")


def with_model(home: CodexHome, name: str) -> None:
    """A model that Codex would replace by a newer one; which it asks about depends on its age."""
    config = home.codex_home / "config.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"gpt-5.4"', json.dumps(name)), encoding="utf-8")


def with_hook(home: CodexHome) -> None:
    """A hook that nobody has reviewed."""
    hook = {"matcher": "*", "hooks": [{"type": "command", "command": "true"}]}
    text = json.dumps({"hooks": {"SessionStart": [hook]}})
    (home.codex_home / "hooks.json").write_text(text, encoding="utf-8")


def as_repository(home: CodexHome) -> None:
    """Make the working directory a repository: 0.169 asks for trust only where there is something
    to trust, a repository or a `.codex` folder."""
    subprocess.run(["git", "init", "-q"], cwd=home.workdir, check=True)


def as_login(home: CodexHome) -> None:
    """A config without a provider or a key: Codex asks to sign in."""
    home.codex_home.joinpath("config.toml").write_text(
        f'[projects."{home.workdir}"]\ntrust_level = "trusted"\n', encoding="utf-8"
    )


LOOKS_LIKE_OUTPUT = "• Ran ls\n  └ nothing\n› and this\n• Working (3s • esc to interrupt"
UNICODE = "héllo wörld, 你好世界, مرحبا, emoji 👍🏽 👨‍👩‍👧‍👦 ⚠️ ✔, é, ｆｕｌｌ"
LONG = "\n".join(f"{n:04d} " + "abcdefghij " * 6 for n in range(1, 43))[:3000]
MULTI = "first line\nsecond line\n\n  indented after a blank line\nlast line"
# A tool of the plan mode, here allowed in the default mode too.
QUESTIONS = "[features]\ndefault_mode_request_user_input = true\n"
PERMISSIONS = "[features]\nrequest_permissions_tool = true\nexec_permission_approvals = true\n"
MCP_SERVER = f"""[mcp_servers.demo]
command = {json.dumps(sys.executable)}
args = [{json.dumps(str(PROJECT / "tests/recordings/rollouts/mcp_server.py"))}]
"""
WIPE = 'tool demo wipe {"path": "/srv/old"}'


def form(name: str) -> str:
    """The prompt that makes the MCP server ask for this form."""
    return f'tool demo ask {{"form": "{name}"}}'


BASE = [
    Scenario("start", start),
    Scenario("one-line", prompts("hello")),
    Scenario("multi-line", prompts(MULTI)),
    Scenario("looks-like-output", prompts(LOOKS_LIKE_OUTPUT)),
    Scenario("unicode", prompts("echo " + UNICODE)),
    Scenario("markdown", prompts("markdown")),
    Scenario("long-prompt", prompts(LONG)),
    Scenario("lines-400", prompts("lines 400")),
    Scenario("silent-tool", prompts("sleep 3")),
    Scenario("tool-output", prompts("run seq 30; echo oops >&2; false")),
    Scenario("reasoning", prompts("think")),
    Scenario("three-prompts", prompts("hello", "markdown", "hello")),
    Scenario("approval-open", approval("approve date -u"), approvals=True),
    Scenario("approval-accepted", approval("approve date -u", "y"), approvals=True),
    Scenario("approval-declined", approval("approve date -u", "\x1b"), approvals=True),
    Scenario("patch-accepted", approval("patch notes.txt", "y"), approvals=True),
    Scenario("patch-allowed", prompts("patch notes.txt")),
    Scenario("approval-always", approval("approve date -u", "p"), approvals=True),
    Scenario("question-open", approval("ask Which colour?"), config=QUESTIONS, feature=FORMS),
    Scenario(
        "question-answered",
        approval("ask Which colour?", "2"),
        config=QUESTIONS,
        feature=FORMS,
    ),
    Scenario("interrupt", interrupt),
    Scenario("interrupt-tool", interrupt_tool),
    Scenario("popup-file", popup("look at @REA")),
    Scenario("popup-slash", popup("/mo")),
    Scenario("popup-bang", popup("!ls")),
    Scenario("long-paste", long_paste),
    Scenario("failure", prompts("fail 400")),
    Scenario("broken-stream", prompts("break")),
    Scenario("slow-thinking", slow_thinking, size=(80, 50), feature=END_MARK),
    # After thirty seconds the tool returns while its command goes on in the background.
    Scenario("background-command", prompts("run sleep 33"), size=(80, 50), feature=END_MARK),
    Scenario("retrying", retrying, retries=2),
    Scenario("trust-open", dialog, trusted=False, prepare=as_repository),
    Scenario("trust-accepted", trust_accepted, trusted=False, prepare=as_repository),
    Scenario("update-open", dialog, prepare=as_outdated),
    Scenario("login", dialog, prepare=as_login),
    Scenario(
        "model-open", newer_model, prepare=partial(with_model, name="gpt-5.5"), feature=MODEL_OFFER
    ),
    Scenario(
        "older-model-open",
        newer_model,
        prepare=partial(with_model, name="gpt-5.2"),
        feature=EARLY_MODEL_OFFER,
    ),
    Scenario("hooks-open", dialog, prepare=with_hook, feature=HOOKS),
    Scenario("hook-open", hook, prepare=with_hook, size=(80, 50), feature=HOOKS),
    Scenario("sessions-open", dialog, size=(80, 50), arguments=lambda live: ("resume",)),
    Scenario("boxes-open", command("/experimental"), size=(80, 50)),
    Scenario("field-open", command("/review", "4"), size=(80, 50)),
    Scenario("pager-open", pager, size=(80, 24), feature=PAGER),
    Scenario(
        "resume", start, before=two_turns_before, arguments=lambda live: ("resume", live.session_id)
    ),
    Scenario("exit", leave),
]

SHAPES = {
    "67x1190": {"size": (67, 1190)},
    "inline-80x24": {"size": (80, 24), "inline": True},
    # Without an alternate screen every size is inline.
    "inline-80x1000": {"inline": True, "feature": ALTERNATE_SCREEN},
    "alt-80x50": {"size": (80, 50), "feature": ALTERNATE_SCREEN},
}
CORE = ("one-line", "markdown", "lines-400", "tool-output", "three-prompts", "approval-accepted")


def _shaped(shape: str, base: Scenario) -> Scenario:
    return replace(base, name=f"{base.name}-{shape}", **SHAPES[shape])  # type: ignore[arg-type]


def _dialogs() -> Iterator[Scenario]:
    """Each kind of question that Codex asks, but those of `BASE`, answered by keys."""
    for name, config, prompt, *keys in (
        ("question-form", QUESTIONS, "ask Which colour? Which size?", "2", "1"),
        ("permission", PERMISSIONS, "permit /srv/out", "y"),
        ("permission-denied", PERMISSIONS, "permit /srv/out", "4"),
        ("command-widened", PERMISSIONS, "widen touch x", "y"),
        ("mcp-tool", MCP_SERVER, WIPE, "1"),
        ("mcp-plain", MCP_SERVER, form("plain"), "2"),
        ("mcp-choices", MCP_SERVER, form("choices"), "1", "1"),
        ("mcp-words", MCP_SERVER, form("words"), "Ann", "\r"),
        ("mcp-page", MCP_SERVER, form("page"), "2"),
    ):
        play = approval(prompt, *keys)
        yield Scenario(name, play, approvals=True, config=config, feature=FORMS)


SCENARIOS = [
    *BASE,
    *(_shaped(shape, base) for shape in SHAPES for base in BASE if base.name in CORE),
    *_dialogs(),
    Scenario("patch-long", approval("patch new.txt 60"), approvals=True),
    Scenario(
        "patch-long-inline-80x24",
        approval("patch new.txt 60"),
        size=(80, 24),
        inline=True,
        approvals=True,
    ),
    # Piece by piece under its prompt, which is pinned to the first row.
    Scenario("slow-alt-80x24", prompts("slow 240"), size=(80, 24), feature=ALTERNATE_SCREEN),
    Scenario("lines-2000-inline-80x24", prompts("lines 2000"), size=(80, 24), inline=True),
    Scenario("lines-2000-inline-80x1000", prompts("lines 2000"), inline=True),
]
