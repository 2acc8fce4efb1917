"""What a run restores, for every way in which the previous one may have ended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agentapi.agents.codex.options import CodexSettings, codex_settings
from agentapi.agents.codex.resume.previous_run import PreviousRun
from agentapi.model.conversation import Message, Role
from agentapi.model.events import ConversationReset
from agentapi.session.session import AgentSession
from agentapi.storage import state_file
from agentapi.storage.state import SavedState
from agentapi.storage.state_file import StateStore
from tests.support.fixed_driver import FixedDriver
from tests.support.rollout_files import BEGIN, cut, end_after, pack, write_rollout

ONE, TWO, THREE = (f"01a1fddc-2eb3-7532-99ae-a2decbc73a2{digit}" for digit in "abc")


@dataclass
class Place:
    """A folder, its state and Codex's home."""

    root: Path
    settings: CodexSettings
    running: PreviousRun | None = None

    @property
    def home(self) -> Path:
        return self.root / "codex"

    @property
    def state_file(self) -> Path:
        file = self.settings.server.state_file
        assert file is not None
        return file

    def start(self) -> PreviousRun:
        """Start a new run after ending the previous one."""
        if self.running is not None:
            self.end(self.running)
        self.running = PreviousRun(self.settings, self.home, lambda line: None)
        return self.running

    def end(self, run: PreviousRun) -> None:
        """Release a run's locks, as the kernel does."""
        run.tracker.release()
        if run.store is not None and run.store._held is not None:
            run.store._held.release()

    def save(self, *words: str, begun: datetime = BEGIN, folder: Path | None = None) -> None:
        """Save a state with user messages, each answered in capitals."""
        texts = [text for one in words for text in (one, one.upper())]
        roles = [Role.AGENT, *([Role.USER, Role.AGENT] * len(words))]
        messages = [
            Message(n, role, text, begun + timedelta(seconds=n))
            for n, (role, text) in enumerate(zip(roles, ["banner", *texts], strict=True))
        ]
        extra = {"folder": str(folder)} if folder is not None else {}
        StateStore(self.state_file).save(SavedState(messages, extra=extra))

    def rollout(self, session: str, *said: str, **more: object) -> Path:
        folder = str(self.settings.workdir)
        return write_rollout(self.home, session, said, cwd=folder, **more)  # type: ignore[arg-type]

    def track(self, session: str) -> None:
        run = self.start()
        run.tracker.save(session)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("HOME", str(tmp_path))
    workdir = tmp_path / "project"
    workdir.mkdir()
    settings = codex_settings({"workdir": str(workdir)}, {}, ())
    return Place(tmp_path, settings)


def contents(messages: Sequence[Message]) -> list[str]:
    return [message.content for message in messages][1:]


def exchanges(*words: str) -> list[str]:
    return [text for one in words for text in (one, one.upper())]


def set_aside_by(run: PreviousRun) -> list[str]:
    """Read the conversation in the file that the only warning names."""
    (warning,) = run.history.warnings
    file = Path(warning.rpartition("is kept in ")[2])
    return [message["message"] for message in json.loads(file.read_text())["messages"]][1:]


def test_the_session_is_resumed(place: Place) -> None:
    rollout = place.rollout(ONE, "a", "b")
    place.save("a", "b", folder=place.settings.workdir)
    place.track(ONE)
    run = place.start()
    meta = run.choose_session()
    assert meta is not None
    assert (meta.id, run.rollout) == (ONE, rollout)
    assert contents(run.history.messages) == exchanges("a", "b")
    assert run.history.warnings == ()


def test_rolled_back_messages_are_not_restored(place: Place) -> None:
    place.rollout(ONE, "a", "b")
    base = (ONE, end_after(1))
    last = place.rollout(ONE, "c", segment=TWO, base=base, begun=BEGIN + timedelta(minutes=1))
    place.save("a", "b", "c")
    place.track(ONE)
    run = place.start()
    assert run.choose_session() is not None
    assert run.rollout == last
    assert contents(run.history.messages) == exchanges("a", "c")
    assert run.history.warnings == ()


def test_a_compressed_session_is_resumed(place: Place) -> None:
    packed = pack(place.rollout(ONE, "a"))
    place.track(ONE)
    run = place.start()
    assert run.choose_session() is not None
    assert run.rollout == packed
    assert contents(run.history.messages) == exchanges("a")


def stale(place: Place) -> str:
    return "Codex has no record of it"


def unreadable(place: Place) -> str:
    place.rollout(ONE, "a").write_bytes(b"\0\1\2")
    return "is empty or broken"


def damaged(place: Place) -> str:
    cut(pack(place.rollout(ONE, *"a" * 50)))
    return "the packed file is damaged"


def without_its_base(place: Place) -> str:
    place.rollout(ONE, "b", segment=TWO, base=(ONE, 4))
    return f"what it is based on, {ONE}, is missing"


@pytest.mark.parametrize("break_it", [stale, unreadable, damaged, without_its_base])
def test_a_session_that_cannot_be_resumed_is_set_aside(place: Place, break_it: object) -> None:
    assert callable(break_it)
    why = break_it(place)
    place.save("a", "b")
    place.track(ONE)
    run = place.start()
    assert run.choose_session() is None
    assert run.history.messages == ()
    assert why in run.history.warnings[0]
    assert f"the session {ONE} cannot be resumed, a fresh one is started" in run.history.warnings[0]
    assert set_aside_by(run) == exchanges("a", "b")


def test_nothing_is_set_aside_twice(place: Place) -> None:
    """A run that is killed before it saves anything does not change the state."""
    place.save("a")
    place.track(ONE)
    for _ in range(3):
        run = place.start()
        assert run.choose_session() is None
        assert set_aside_by(run) == exchanges("a")
    assert len(list(place.state_file.parent.glob("*Z"))) == 1


def test_without_a_conversation_only_the_session_is_reported(place: Place) -> None:
    place.track(ONE)
    run = place.start()
    assert run.choose_session() is None
    assert "cannot be resumed" in run.history.warnings[0]
    assert "kept in" not in run.history.warnings[0]


def test_a_requested_fresh_start(place: Place) -> None:
    place.rollout(ONE, "a")
    place.save("a")
    place.track(ONE)
    place.settings = replace(place.settings, resume=False)
    run = place.start()
    assert run.choose_session() is None
    assert run.history.messages == ()
    assert set_aside_by(run) == exchanges("a")
    place.state_file.unlink()
    run = place.start()
    assert run.choose_session() is None
    assert run.history.warnings == ()


def test_a_state_of_another_folder_is_set_aside(place: Place) -> None:
    place.save("a", folder=place.root / "elsewhere")
    run = place.start()
    assert run.choose_session() is None
    assert run.history.messages == ()
    assert set_aside_by(run) == exchanges("a")
    assert run.history.extra["folder"] == str(place.settings.workdir)


@pytest.mark.parametrize("known", [True, False])
def test_an_unrecorded_conversation_continues(place: Place, known: bool) -> None:
    """Killed within milliseconds of the first message, which clients have seen."""
    place.save("a", "b", folder=place.settings.workdir if known else None)
    run = place.start()
    assert run.choose_session() is None
    assert contents(run.history.messages) == exchanges("a", "b")
    assert "has no record of the conversation so far" in run.history.warnings[0]


def test_the_state_of_another_session_is_set_aside(place: Place) -> None:
    place.rollout(ONE, "x", begun=BEGIN - timedelta(days=1))
    place.save("a")
    place.track(ONE)
    run = place.start()
    assert run.choose_session() is not None
    assert contents(run.history.messages) == exchanges("x")
    assert set_aside_by(run) == exchanges("a")


def test_messages_before_the_session_are_set_aside(place: Place) -> None:
    """`/new` in the terminal: one state, two sessions."""
    begun = BEGIN + timedelta(seconds=3)
    place.rollout(ONE, "a")
    place.rollout(TWO, "b", begun=begun)
    place.save("a", "b")
    place.track(TWO)
    run = place.start()
    assert run.choose_session() is not None
    assert contents(run.history.messages) == exchanges("b")
    assert set_aside_by(run) == exchanges("a", "b")


def test_killed_before_the_fresh_session_was_tracked(place: Place) -> None:
    """The tracking file has the previous session, the state already the new one's messages."""
    place.rollout(ONE, "a", begun=BEGIN - timedelta(days=1))
    place.rollout(TWO, "b")
    place.save("b")
    place.track(ONE)
    run = place.start()
    meta = run.choose_session()
    assert meta is not None
    assert meta.id == TWO
    assert contents(run.history.messages) == exchanges("b")
    assert run.history.warnings == ()


def test_an_untracked_session_is_not_resumed(place: Place) -> None:
    place.rollout(ONE, "a")
    place.track(ONE)
    run = place.start()
    assert run.choose_session() is not None
    run.session.untrack()
    run = place.start()
    assert run.choose_session() is None
    assert run.history.warnings == ()


def test_another_daemons_folder_is_left_alone(place: Place) -> None:
    place.rollout(ONE, "a")
    place.track(ONE)
    first, place.running = place.start(), None
    second = place.start()
    assert second.choose_session() is not None
    second.session.untrack()
    assert first.tracker.lookup() == ONE


class Killed(BaseException):
    """Stands for `kill -9`."""


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("saved", [True, False])
async def test_killed_while_the_conversation_is_set_aside(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: int, saved: bool
) -> None:
    """Killed at any step, either the next run starts over or the fresh session continues; the old
    conversation is complete in one of the two."""
    place.rollout(ONE, "a", "b")
    place.track(ONE)
    if saved:
        place.save("a", "b")
    run = place.start()
    assert run.choose_session() is not None
    assert run.store is not None
    driver = FixedDriver()
    session = AgentSession(driver, agent_type="codex", store=run.store, history=run.history)
    await session.start()
    left = step

    def dies(work: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object) -> object:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return work(*arguments)

        return run

    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        for owner, name in (
            (state_file._StateFile, "save"),
            (state_file, "_keep"),
            (run.tracker, "clear"),
        ):
            patched.setattr(owner, name, dies(getattr(owner, name)))
        driver.emit(ConversationReset("it is refused"))
        run.session.untrack()

    after = place.start()
    meta = after.choose_session()
    asides = [file for file in place.state_file.parent.glob("*Z") if holds(file, "a", "b")]
    if meta is not None:
        assert contents(after.history.messages) == exchanges("a", "b")
    else:
        assert after.history.messages == ()
        assert asides
    assert after.history.warnings == ()


def holds(file: Path, *words: str) -> bool:
    messages = json.loads(file.read_text())["messages"]
    return [message["message"] for message in messages][1:] == exchanges(*words)
