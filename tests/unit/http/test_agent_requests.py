"""The agent's own requests are refused where they act or show the terminal, and nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from agentapi.http.agent_requests import TERMINALS
from agentapi.http.app import HttpOptions, create_app
from agentapi.processes.callers import Caller, Callers, Kin
from agentapi.processes.tree import Family
from agentapi.session.session import AgentSession
from agentapi.settings.settings import AGENT_REQUESTS
from tests.support.fixed_driver import FixedDriver
from tests.support.live import Live, serving

OPEN = (
    *("/status", "/messages", "/session", "/transcript", "/approval", "/queue", "/healthz"),
    *("/metrics", "/openapi.json", "/chat/embed/"),
)
CLOSED: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/message", {"content": "x", "type": "raw"}),
    ("POST", "/message", {"content": "x", "type": "user"}),
    ("POST", "/approval", {"id": "1", "choice": "1"}),
    ("POST", "/interrupt", None),
    ("POST", "/queue", {"content": "x"}),
    ("DELETE", "/queue/1", None),
    ("POST", "/upload", None),
    ("GET", "/terminal", None),
    ("GET", "/internal/screen", None),
)


class Fixed(Callers):
    """Says the same of every caller, and how often it was asked."""

    def __init__(self, kin: Kin) -> None:
        super().__init__(Family())
        self.kin, self.asked = kin, 0

    def identify(self, peer: tuple[object, ...], own: tuple[object, ...]) -> Caller:
        assert peer[0] == own[0] == "127.0.0.1"
        self.asked += 1
        return Caller(self.kin, "process 7 (curl)")


def options(kin: Kin, *allowed: str, token: str | None = None) -> HttpOptions:
    return HttpOptions(callers=Fixed(kin), allow_agent_requests=allowed, auth_token=token)


async def statuses(live: Live, **more: Any) -> dict[str, int]:
    """What each of the closed requests is answered."""
    found = {}
    for method, path, body in CLOSED:
        if path == "/internal/screen":
            async with live.client.get(live.url + path, **more) as response:
                found[path] = response.status
        else:
            answer = await live.call(method, path, json=body, **more)
            found[f"{method} {path} {(body or {}).get('type', '')}".strip()] = answer.status
    return found


async def test_the_agent_reads_and_does_not_act() -> None:
    async with serving(options(Kin.OURS)) as live:
        for path in OPEN:
            assert (await live.get(path)).status == 200, path
        async with live.stream() as stream:
            assert (await stream.event())[0] == "message_update"
        assert set((await statuses(live)).values()) == {403}
        refusal = await live.say("x", "raw")
        assert refusal.headers["Content-Type"] == "application/problem+json"
        assert refusal.json["title"] == "Forbidden"
        assert refusal.json["detail"] == (
            "the agent may not send this to its own server: process 7 (curl) belongs to it"
            " (--allow-agent-requests message allows it)"
        )


async def test_a_stranger_does_all() -> None:
    async with serving(options(Kin.STRANGER)) as live:
        found = await statuses(live)
        assert 403 not in found.values()
        assert found["POST /message raw"] == found["/internal/screen"] == 200


async def test_an_unidentified_caller_is_refused_without_a_token() -> None:
    async with serving(options(Kin.UNKNOWN)) as live:
        assert set((await statuses(live)).values()) == {403}
        detail = (await live.post("/queue", {"content": "x"})).json["detail"]
        assert "it cannot be told whether the agent itself sends this: process 7 (curl)" in detail
        assert "AGENTAPI_AUTH_TOKEN" in detail
        assert "--allow-agent-requests queue" in detail
        assert (await live.get("/status")).status == 200


async def test_the_token_decides_for_an_unidentified_caller() -> None:
    async with serving(options(Kin.UNKNOWN, token="word")) as live:
        assert set((await statuses(live)).values()) == {401}
        shown = {"headers": {"Authorization": "Bearer word"}}
        assert not {401, 403} & set((await statuses(live, **shown)).values())


async def test_no_token_makes_the_agent_a_client() -> None:
    async with serving(options(Kin.OURS, token="word")) as live:
        shown = {"headers": {"Authorization": "Bearer word"}}
        assert set((await statuses(live, **shown)).values()) == {403}
        assert (await live.post("/login", {"token": "word"})).status == 200


@pytest.mark.parametrize("name", AGENT_REQUESTS)
async def test_the_operator_allows_by_name(name: str) -> None:
    async with serving(options(Kin.OURS, name)) as live:
        found = await statuses(live)
        allowed = {request for request, status in found.items() if status != 403}
        if name == "terminal":
            assert allowed == {"GET /terminal", "/internal/screen"}
        else:
            assert allowed == {each for each in found if f"/{name}" in each}


async def test_a_connection_is_looked_up_once_and_only_when_it_must_be() -> None:
    fixed = Fixed(Kin.STRANGER)
    async with serving(HttpOptions(callers=fixed)) as live:
        for _ in range(3):
            assert (await live.get("/status")).status == 200
        assert fixed.asked == 0
        for _ in range(3):
            assert (await live.say("x", "raw")).status == 200
        assert fixed.asked == 1
        async with aiohttp.ClientSession() as live.client:
            assert (await live.say("x", "raw")).status == 200
        assert fixed.asked == 2


async def test_what_does_not_exist_is_not_there_for_the_agent_either() -> None:
    async with serving(options(Kin.OURS)) as live:
        assert (await live.post("/nothing")).status == 404
        assert (await live.post("/status")).status == 405


async def test_the_log_names_each_kind_once(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(options(Kin.OURS)) as live:
        for _ in range(3):
            await live.say("x", "raw")
            await live.post("/interrupt")
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [
        "POST /message is refused: process 7 (curl)",
        "POST /interrupt is refused: process 7 (curl)",
    ]


async def test_the_real_callers_know_this_process_as_a_stranger() -> None:
    async with serving(HttpOptions(callers=Callers(Family()))) as live:
        assert (await live.say("x", "raw")).status == 200


def routes() -> Iterator[tuple[str, str]]:
    session = AgentSession(FixedDriver(), agent_type="custom", store=None)
    for route in create_app(session, HttpOptions(auth_token="word")).router.routes():
        assert route.resource is not None
        yield route.method, route.resource.canonical


async def test_every_endpoint_that_acts_has_a_name() -> None:
    """A new one is closed to the agent, and must be named in the options."""
    acting = {path for method, path in routes() if method not in ("GET", "HEAD")} - {"/login"}
    assert {path.split("/")[1] for path in acting} | {"terminal"} == set(AGENT_REQUESTS)
    assert set(TERMINALS) <= {path for _, path in routes()}
