"""Codex when its link is lost during the start, or when a restart fails. The program is a small
script, and the tests script the link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from agentapi.agents.codex.driver import CodexDriver
from agentapi.agents.codex.link.command import CodexCommand
from agentapi.agents.codex.link.events import LinkEvent, LinkLost
from agentapi.agents.registry import profile_for
from agentapi.model.events import DriverEvent, Exited, SessionKnown

LIMIT = 20.0
"""Seconds after which a test gives up waiting."""
PROGRAM = """#!/bin/sh
case $1 in --help) echo '--remote unix://PATH'; exit;; esac
echo $$ "$@" >>"${0%/*}/started"
exec sleep 600
"""


class Link:
    """A link without a server; each one runs the test's script when it starts."""

    script: Callable[[Link], None]
    version = "1"
    pid: int | None = None
    thread: str | None = "session"
    resumable = True

    def __init__(self, sink: Callable[[LinkEvent], None]) -> None:
        self.sink = sink
        self.ended = False

    async def start(
        self, command: CodexCommand, *, cwd: Path | None, env: Mapping[str, str]
    ) -> Path:
        """Return the socket for the TUI."""
        type(self).script(self)
        return Path("/nowhere")

    async def end(self) -> None:
        """Do nothing."""
        self.ended = True


class Place:
    """A driver of the small program, and its events."""

    def __init__(self, folder: Path, link: str = "auto") -> None:
        self._program = folder / "codex"
        self._program.write_text(PROGRAM)
        self._program.chmod(0o755)
        self.pids = folder / "started"
        self.events: list[DriverEvent] = []
        self.restarted: Callable[[int], None] = lambda pid: None
        self._changed = asyncio.Event()
        self.driver = CodexDriver(
            profile_for("codex"),
            [str(self._program), "--sandbox", "read-only"],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(folder)},
            link=link,
            restarted=lambda pid: self.restarted(pid),
        )

    def take(self, event: DriverEvent) -> None:
        """Record an event of the driver."""
        self.events.append(event)
        self._changed.set()

    @property
    def ends(self) -> list[Exited]:
        """The reported exits."""
        return [event for event in self.events if isinstance(event, Exited)]

    async def ended(self) -> Exited:
        """Wait for the exit."""
        async with asyncio.timeout(LIMIT):
            while not self.ends:
                self._changed.clear()
                await self._changed.wait()
        return self.ends[0]


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """The links created."""
    made: list[Link] = []

    class Noted(Link):
        def __init__(self, sink: Callable[[LinkEvent], None]) -> None:
            super().__init__(sink)
            made.append(self)

    monkeypatch.setattr("agentapi.agents.codex.link.link.CodexLink", Noted)
    monkeypatch.setattr(Link, "script", lambda link: None, raising=False)
    return made


async def test_events_of_the_link_before_the_tui_come_after_its_start(
    links: list[Link], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "script", lambda link: link.sink(SessionKnown("session")))
    place = Place(tmp_path)
    await place.driver.start(place.take)
    links[0].sink(SessionKnown("other"))
    known = [event.id for event in place.events if isinstance(event, SessionKnown)]
    assert known == ["session", "other"]
    assert place.driver.link == "on"
    await place.driver.stop(1)


async def test_a_link_that_is_lost_before_there_is_a_tui_is_none(
    links: list[Link], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "script", lambda link: link.sink(LinkLost("it died")))
    place = Place(tmp_path)
    await place.driver.start(place.take)
    assert links[0].ended
    assert (place.driver.link, place.ends) == ("off: it died", [])
    assert place.driver.companion is None
    await place.driver.stop(1)


async def test_nothing_is_left_of_a_start_whose_link_must_be_and_is_lost(
    links: list[Link], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "script", lambda link: link.sink(LinkLost("it died")))
    place = Place(tmp_path, link="on")
    with pytest.raises(OSError, match="--codex-link on: it died"):
        await place.driver.start(place.take)
    assert place.driver.pid is None
    assert place.ends == []
    with suppress(FileNotFoundError):  # it may have been ended before its first line
        for line in place.pids.read_text().splitlines():
            assert not Path(f"/proc/{line.split()[0]}").exists()


async def test_a_mistake_while_it_starts_again_is_an_end_with_its_traceback(
    links: list[Link],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Place(tmp_path)
    await place.driver.start(place.take)

    def fail(link: Link) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(Link, "script", fail)
    links[0].sink(LinkLost("it died"))
    ending = await place.ended()
    assert ending.failed
    assert "nobody thought of this" in ending.screen
    assert [record.exc_info is not None for record in caplog.records if record.levelno >= 40] == [
        True
    ]
    await place.driver.stop(1)
    assert links[0].ended
