"""Whatever the OpenAPI document allows, and what it does not, is answered and never breaks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from agentapi.http.openapi import document
from agentapi.model.conversation import Choice, Dialog, Phase
from tests.support.live import Live, serving

STREAMS = ("/events", "/transcript/events")
schema = schemathesis.openapi.from_dict(document()).exclude(path=list(STREAMS))
"""All but the streams, which never end."""

DIALOG = Dialog("0", "command", "Run?", choices=(Choice("0", "No", "0"),))


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    """A server on a thread of its own: the fuzzer's client blocks."""
    ready: list[Live] = []
    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving() as running:
            running.driver.idle()
            ready.append(running)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(20)
    yield ready[0]
    ended.set()
    thread.join(20)


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader")
@pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionParam")
def test_whatever_is_asked_is_answered_as_documented(case: Any, live: Live) -> None:
    response = case.call(base_url=live.url)
    excluded = [not_a_server_error] if response.status_code in (500, 503) else []
    if case.path == "/upload":
        excluded.append(positive_data_acceptance)  # a field's name may be no header that HTTP has
    case.validate_response(response, excluded_checks=excluded)
    if response.status_code == 500:
        problem = response.json()
        assert case.path == "/message"
        assert problem["errors"][0]["message"].startswith("failed to send message: ")
    if response.status_code == 503:
        assert case.path in ("/healthz", "/readyz")


@pytest.mark.parametrize("phase", [Phase.WORKING, Phase.BLOCKED, Phase.EXITED])
async def test_every_endpoint_answers_in_every_phase(phase: Phase) -> None:
    async with serving() as live:
        live.driver.phase(phase, "told", DIALOG if phase is Phase.BLOCKED else None)
        for path, methods in document()["paths"].items():
            if path not in STREAMS and "get" in methods:
                assert (await live.get(path)).status in (200, 503)
        assert (await live.say("hi")).status == 500
        assert (await live.say("x", "raw")).status == 200
        assert (await live.post("/interrupt")).status == 200
        status = (await live.post("/approval", {"id": "0", "choice": "0"})).status
        assert status == (200 if phase is Phase.BLOCKED else 409)
