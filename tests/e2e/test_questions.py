"""Every kind of question that Codex asks, through the server, with the link and without: what
`GET /approval` says, that the agent's message ends with it, that `POST /approval` answers it, and
that the turn goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from agentapi.model.comparison import squeeze
from agentapi.scripted import Reply, Request, ScriptedModel, Shell
from agentapi.scripted.answers import answer
from tests.e2e.conftest import Kind as CodexKind
from tests.e2e.conftest import Talk
from tests.support.codex import codex_binary
from tests.support.scenarios import MCP_SERVER, WIPE, form
from tests.support.server import Sent, Server, codex_server, scratch_folder

pytestmark = [pytest.mark.codex, pytest.mark.asyncio(loop_scope="module")]

CONFIG = f"""[features]
default_mode_request_user_input = true
request_permissions_tool = true
exec_permission_approvals = true
{MCP_SERVER}"""


@dataclass(frozen=True)
class Kind(CodexKind):
    """A Codex with the link or without, and the form of its messages."""

    link: bool = False
    markdown: bool = False

    def __str__(self) -> str:
        return f"{self.version or 'pinned'}{'-link' * self.link}{'-markdown' * self.markdown}"


@pytest.fixture(
    scope="module",
    params=[
        Kind(link=True),
        Kind(link=True, markdown=True),
        Kind(),
        Kind("0.158.0", link=True),
        Kind("0.142.0", link=True),
        Kind("0.125.0", markdown=True),
    ],
    ids=str,
)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def two_at_once(request: Request) -> Reply:
    """The scripted answers, and one that asks for two commands together."""
    if request.tool_output is None and request.prompt == "both":
        return [Shell("touch one", "May I one?"), Shell("touch two", "May I two?")]
    return answer(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(kind: Kind) -> AsyncIterator[Talk]:
    """A server that is ready."""
    try:
        codex_binary(kind.version)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    options = ["--message-format", "markdown"] if kind.markdown else []
    options += ["--codex-link", "on"] if kind.link else []
    with scratch_folder() as folder:
        async with (
            ScriptedModel(answer=two_at_once) as model,
            codex_server(
                folder, model, *options, version=kind.version, approvals=True, extra=CONFIG
            ) as (server, home),
        ):
            await server.ready()
            yield Talk(kind, server, model, home)


@pytest.fixture
def talk(shared: Talk) -> Iterator[Talk]:
    """The shared server, between turns."""
    yield shared


async def post(server: Server, path: str, body: object = None) -> tuple[int, str]:
    """POST; the status and the problem's text."""
    async with asyncio.timeout(30), server.client.post(server.url + path, json=body) as response:
        told = await response.json()
        return response.status, str(told.get("detail", ""))


async def opened(server: Server) -> dict[str, Any]:
    """The dialog that is open."""
    found = (await server.get("/approval"))["open"]
    assert found is not None
    assert isinstance(found, dict)
    return found


def choice(dialog: dict[str, Any], label: str) -> dict[str, str]:
    """The body that picks a choice by its label."""
    ids = (one["id"] for one in dialog["choices"] if one["label"].startswith(label))
    return {"id": dialog["id"], "choice": next(ids)}


async def ask(talk: Talk, prompt: str) -> dict[str, Any]:
    """Bring up a dialog; a message is refused while it is open. What a failed test left open on
    the shared server is refused first. On a busy machine 0.125 starts its MCP servers, and reports
    work, after it was first idle."""
    if await talk.server.phase() == "blocked":
        await talk.server.post("/interrupt", {})
    await talk.server.until(lambda: talk.server.phases[-1].phase == "idle", "idle")
    since = len(talk.server.statuses)
    assert await talk.server.send(prompt) == Sent(200)
    await talk.server.wait_status("running", "stable", since=since)
    assert await talk.server.phase() == "blocked"
    refused = await talk.server.send("1")
    assert refused.status == 500
    assert "only the user can answer" in refused.error
    dialog = await opened(talk.server)
    await is_told(talk.server, dialog)
    return dialog


async def is_told(server: Server, dialog: dict[str, Any]) -> None:
    """The agent's message ends with the question, for those who poll and those who listen."""
    role, text = (await server.messages())[-1]
    assert role == "agent"
    assert shows(text, dialog), text
    await server.until(lambda: shows(server.told[-1][1], dialog), "the question in the events")


def shows(text: str, dialog: dict[str, Any]) -> bool:
    """Whether a message has all of a question in its order."""
    # A screen offers some things otherwise than a call: to open a page, to cancel by Esc.
    keyed = (one["label"] for one in dialog["choices"] if one["key"])
    labels = [label for label in keyed if label != "Cancel"]
    place = 0
    for words in (dialog["title"], dialog["command"], *labels):
        place = squeeze(text).find(squeeze(words), place)
        if place < 0:
            return False
    return True


async def pick(server: Server, dialog: dict[str, Any], label: str) -> None:
    """Answer the open dialog. It is gone once that is answered with 200, wherever one looks."""
    end = (await server.messages())[-1][1].splitlines()[-3:]
    assert await post(server, "/approval", choice(dialog, label)) == (200, "")
    session, now = await server.get("/session"), (await server.get("/approval"))["open"]
    assert now is None or now["id"] != dialog["id"]
    assert session["phase"] != "blocked" or now is not None
    if now is None:
        assert "\n".join(end) not in (await server.messages())[-1][1]
    else:
        await is_told(server, now)


async def over(talk: Talk) -> None:
    """Wait for the end of the turn; nothing is asked any more."""
    server = talk.server
    await server.until(lambda: server.phases[-1].phase == "idle", "the end of the turn")
    assert (await server.get("/approval"))["open"] is None


@dataclass(frozen=True)
class Case:
    """A prompt, what it brings up, the labels to pick, and what the model is told then."""

    prompt: str
    kind: str
    title: str
    picks: Sequence[str]
    told: str
    about: dict[str, str] = field(default_factory=dict)


CASES = {
    "command": Case(
        "approve touch a; echo allowed",
        "command",
        "Would you like to run the following command?",
        ["Yes, proceed"],
        "allowed",
        {"command": "touch a; echo allowed", "reason": "May I run this outside the sandbox?"},
    ),
    "widened": Case(
        "widen touch w; echo wide",
        "command",
        "Would you like to run the following command?",
        ["Yes, proceed"],
        "wide",
        {
            "command": "touch w; echo wide",
            "reason": "May I use the network?\nPermission rule: network",
        },
    ),
    "permission": Case(
        "permit /srv/out",
        "permission",
        "Would you like to grant these permissions?",
        ["Yes, grant these permissions for this turn"],
        '"scope":"turn"',
        {"command": "network; write `/srv/out`", "reason": "To try it."},
    ),
    "permission-denied": Case(
        "permit /srv/out",
        "permission",
        "Would you like to grant these permissions?",
        ["No, continue without permissions"],
        '"network":null',
    ),
    "question": Case("ask Which colour?", "question", "Which colour?", ["Blue"], '["Blue"]'),
    "other": Case("ask Which colour?", "question", "Which colour?", ["None"], '["None of the'),
    "questions": Case(
        "ask Which colour? Which size?",
        "question",
        "Which colour?",
        ["Blue", "Red"],
        '["Red"]',
        {"reason": "1 of 2"},
    ),
    "tool": Case(
        WIPE,
        "mcp",
        'Allow the demo MCP server to run tool "wipe"?',
        ["Allow"],
        "would wipe /srv/old",
        {"command": "path: /srv/old"},
    ),
    "tool-refused": Case(
        WIPE,
        "mcp",
        'Allow the demo MCP server to run tool "wipe"?',
        ["Cancel"],
        "cancelled MCP tool call",
    ),
    "server": Case(form("plain"), "mcp", "The server wants to know.", ["Deny"], "decline"),
    "server-form": Case(
        form("choices"),
        "mcp",
        "The server wants to know.\nColour",
        ["blue", "False"],
        "false",
        {"reason": "1 of 2"},
    ),
    "server-form-cancelled": Case(
        form("choices"), "mcp", "The server wants to know.\nColour", ["blue", "Cancel"], "cancel"
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_question_is_shown_and_answered(talk: Talk, name: str) -> None:
    case = CASES[name]
    dialog = await ask(talk, case.prompt)
    assert (dialog["kind"], dialog["title"]) == (case.kind, case.title)
    assert {key: dialog[key] for key in case.about} == case.about
    for label in case.picks:
        dialog = await opened(talk.server)
        body = choice(dialog, label)
        await pick(talk.server, dialog, label)
    await over(talk)
    told = talk.model.requests[-1].tool_output
    assert told is not None
    assert case.told in told.replace("\\", "")
    assert (await post(talk.server, "/approval", body))[0] == 409


async def test_a_page_to_open(talk: Talk) -> None:
    dialog = await ask(talk, form("page"))
    assert (dialog["kind"], dialog["title"]) == ("mcp", "Please sign in.")
    if talk.kind.version != "0.125.0":  # which does not tell the page
        assert dialog["command"] == "https://example.com/sign-in"
    back = {"id": dialog["id"], "choice": dialog["choices"][-1]["id"]}
    assert await post(talk.server, "/approval", back) == (200, "")
    await over(talk)
    assert "accept" not in (talk.model.requests[-1].tool_output or "accept")


async def test_a_page_that_was_opened_elsewhere(talk: Talk) -> None:
    dialog = await ask(talk, form("page"))
    by_call = [one for one in dialog["choices"] if one["id"] == "done"]
    first = (by_call or dialog["choices"])[0]
    if first["label"] == "Open link":  # it would open a browser here
        await post(talk.server, "/interrupt")
        return
    body = {"id": dialog["id"], "choice": first["id"]}
    assert await post(talk.server, "/approval", body) == (200, "")
    await over(talk)
    assert "accept" in (talk.model.requests[-1].tool_output or "")


async def test_words_are_typed_as_keys(talk: Talk) -> None:
    dialog = await ask(talk, form("words"))
    assert dialog["reason"] == "wants words: type them in the terminal or send them as raw keys"
    assert [one["label"] for one in dialog["choices"]] == ["Cancel"]
    await talk.server.raw("Ann")
    await talk.server.wait_for_screen("Ann")
    await asyncio.sleep(0.3)  # by the clock: Codex takes an Enter right behind words for a paste
    await talk.server.raw("\r")
    await over(talk)
    assert "Ann" in (talk.model.requests[-1].tool_output or "")


async def test_words_need_not_be_typed(talk: Talk) -> None:
    dialog = await ask(talk, form("words"))
    assert await post(talk.server, "/approval", choice(dialog, "Cancel")) == (200, "")
    await over(talk)
    assert "cancel" in (talk.model.requests[-1].tool_output or "")


@pytest.mark.parametrize("prompt", ["ask Which colour?", "permit /srv/out", WIPE])
async def test_a_key_at_the_terminal_closes_it(talk: Talk, prompt: str) -> None:
    dialog = await ask(talk, prompt)
    key = dialog["choices"][0]["key"]
    assert key
    await talk.server.raw(key)
    await over(talk)
    gone = {"id": dialog["id"], "choice": "1"}
    assert await post(talk.server, "/approval", gone) == (409, "no dialog is open")


async def test_only_the_open_dialog_and_its_choices_are_answered(talk: Talk) -> None:
    dialog = await ask(talk, "approve touch never")
    status, why = await post(talk.server, "/approval", {"id": "another", "choice": "1"})
    assert status == 409
    assert why == f"the dialog 'another' is not open any more; {dialog['id']!r} is"
    status, why = await post(talk.server, "/approval", {"id": dialog["id"], "choice": "9"})
    assert status == 409
    assert why.startswith("the dialog has no choice '9'; it has '1' (Yes, proceed), '2' (")
    assert await talk.server.phase() == "blocked"
    body = choice(dialog, "No, and tell")
    both = await asyncio.gather(*(post(talk.server, "/approval", body) for _ in range(2)))
    assert sorted(status for status, _ in both) == [200, 409]
    await over(talk)
    assert not (talk.home.workdir / "never").exists()


@pytest.mark.parametrize("prompt", ["ask Which colour?", "permit /srv/out", WIPE, form("words")])
async def test_an_interrupt_ends_the_turn_that_asks(talk: Talk, prompt: str) -> None:
    await ask(talk, prompt)
    assert await post(talk.server, "/interrupt") == (200, "")
    assert await talk.server.phase() == "idle"
    assert (await talk.server.get("/approval"))["open"] is None
    assert "echo go on" in await talk.server.turn("echo go on")


async def test_of_two_the_screens_is_open(talk: Talk) -> None:
    if talk.kind.version is not None:
        return  # older ones ask for one after the other
    await ask(talk, "both")
    for _ in range(2):
        dialog = await opened(talk.server)
        await is_told(talk.server, dialog)
        await talk.server.wait_for_screen(f"$ {dialog['command']}")
        await pick(talk.server, dialog, "Yes, proceed")
    await over(talk)
    assert all((talk.home.workdir / name).exists() for name in ("one", "two"))


async def test_nothing_was_strange(talk: Talk) -> None:
    assert "not understood" not in talk.server.log
