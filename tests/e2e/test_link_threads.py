"""The link stays with the thread that a person works on in the TUI."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.test_link_failures import app_servers, restarted
from tests.support.linked import Linked, linked
from tests.support.server import scratch_folder

pytestmark = pytest.mark.codex


async def new_thread(talk: Linked) -> None:
    """Leave the thread for a new one."""
    before = talk.driver.session_id
    await talk.driver.keys("/new")
    await talk.until(lambda: "start a new chat" in talk.driver.screen(), "the command")
    await talk.driver.keys("\r")
    await talk.until(lambda: talk.driver.session_id != before, "another thread")


async def test_a_thread_without_a_turn_is_not_resumed() -> None:
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            await talk.turn("echo before")
            await new_thread(talk)
            since = len(talk.events)
            os.kill(app_servers(folder)[0], signal.SIGKILL)
            await restarted(talk, since)
            assert await talk.turn("echo after") == "• echo after"
