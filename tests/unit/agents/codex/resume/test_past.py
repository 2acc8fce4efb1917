"""What a run goes on with, for every way in which the one before may have ended."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agentapi.agents.codex.options import CodexSettings, codex_settings
from agentapi.agents.codex.resume.past import Past
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
    running: Past | None = None

    @property
    def home(self) -> Path:
        return self.root / "codex"

    @property
    def state_file(self) -> Path:
        file = self.settings.server.state_file
        assert file is not None
        return file

    def past(self) -> Past:
        """A new run; the one before has ended."""
        if self.running is not None:
            self.end(self.running)
        self.running = Past(self.settings, self.home, lambda line: None)
        return self.running

    def end(self, past: Past) -> None:
        """The kernel gives back what a run held, however it ends."""
        past.tracker.release()
        if past.store is not None and past.store._held is not None:
            past.store._held.release()

    def keep(self, *said: str, begun: datetime = BEGIN, folder: Path | None = None) -> None:
        """The state that a run left: user messages, each answered in capitals."""
        texts = [text for one in said for text in (one, one.upper())]
        roles = [Role.AGENT, *([Role.USER, Role.AGENT] * len(said))]
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
        past = self.past()
        past.tracker.remember(session)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("HOME", str(tmp_path))
    workdir = tmp_path / "project"
    workdir.mkdir()
    settings = codex_settings({"workdir": str(workdir)}, {}, ())
    return Place(tmp_path, settings)


def said(messages: Sequence[Message]) -> list[str]:
    return [message.content for message in messages][1:]


def exchanges(*words: str) -> list[str]:
    return [text for one in words for text in (one, one.upper())]


def kept_in(past: Past) -> list[str]:
    """What the file holds that the only warning names."""
    (warning,) = past.history.warnings
    file = Path(warning.rpartition("is kept in ")[2])
    return [message["message"] for message in json.loads(file.read_text())["messages"]][1:]


def test_the_session_goes_on(place: Place) -> None:
    rollout = place.rollout(ONE, "a", "b")
    place.keep("a", "b", folder=place.settings.workdir)
    place.track(ONE)
    past = place.past()
    meta = past.decide()
    assert meta is not None
    assert (meta.id, past.rollout) == (ONE, rollout)
    assert said(past.history.messages) == exchanges("a", "b")
    assert past.history.warnings == ()


def test_what_was_taken_back_is_not_restored(place: Place) -> None:
    place.rollout(ONE, "a", "b")
    base = (ONE, end_after(1))
    last = place.rollout(ONE, "c", segment=TWO, base=base, begun=BEGIN + timedelta(minutes=1))
    place.keep("a", "b", "c")
    place.track(ONE)
    past = place.past()
    assert past.decide() is not None
    assert past.rollout == last
    assert said(past.history.messages) == exchanges("a", "c")
    assert past.history.warnings == ()


def test_a_packed_session_goes_on(place: Place) -> None:
    packed = pack(place.rollout(ONE, "a"))
    place.track(ONE)
    past = place.past()
    assert past.decide() is not None
    assert past.rollout == packed
    assert said(past.history.messages) == exchanges("a")


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
    place.keep("a", "b")
    place.track(ONE)
    past = place.past()
    assert past.decide() is None
    assert past.history.messages == ()
    assert why in past.history.warnings[0]
    assert (
        f"the session {ONE} cannot be resumed, a fresh one is started" in past.history.warnings[0]
    )
    assert kept_in(past) == exchanges("a", "b")


def test_nothing_is_set_aside_twice(place: Place) -> None:
    """A run that is killed before it saves anything leaves the state as it was."""
    place.keep("a")
    place.track(ONE)
    for _ in range(3):
        past = place.past()
        assert past.decide() is None
        assert kept_in(past) == exchanges("a")
    assert len(list(place.state_file.parent.glob("*Z"))) == 1


def test_without_a_conversation_only_the_session_is_told(place: Place) -> None:
    place.track(ONE)
    past = place.past()
    assert past.decide() is None
    assert "cannot be resumed" in past.history.warnings[0]
    assert "kept in" not in past.history.warnings[0]


def test_a_fresh_start_that_was_asked_for(place: Place) -> None:
    place.rollout(ONE, "a")
    place.keep("a")
    place.track(ONE)
    place.settings = replace(place.settings, resume=False)
    past = place.past()
    assert past.decide() is None
    assert past.history.messages == ()
    assert kept_in(past) == exchanges("a")
    place.state_file.unlink()
    past = place.past()
    assert past.decide() is None
    assert past.history.warnings == ()


def test_a_state_of_another_folder_is_set_aside(place: Place) -> None:
    place.keep("a", folder=place.root / "elsewhere")
    past = place.past()
    assert past.decide() is None
    assert past.history.messages == ()
    assert kept_in(past) == exchanges("a")
    assert past.history.extra["folder"] == str(place.settings.workdir)


@pytest.mark.parametrize("known", [True, False])
def test_what_codex_never_recorded_goes_on(place: Place, known: bool) -> None:
    """Killed within milliseconds of the first message: clients were told of it."""
    place.keep("a", "b", folder=place.settings.workdir if known else None)
    past = place.past()
    assert past.decide() is None
    assert said(past.history.messages) == exchanges("a", "b")
    assert "has no record of the conversation so far" in past.history.warnings[0]


def test_the_state_of_another_session_is_set_aside(place: Place) -> None:
    place.rollout(ONE, "x", begun=BEGIN - timedelta(days=1))
    place.keep("a")
    place.track(ONE)
    past = place.past()
    assert past.decide() is not None
    assert said(past.history.messages) == exchanges("x")
    assert kept_in(past) == exchanges("a")


def test_what_came_before_the_session_is_set_aside(place: Place) -> None:
    """`/new` in the terminal: one state, two sessions."""
    begun = BEGIN + timedelta(seconds=3)
    place.rollout(ONE, "a")
    place.rollout(TWO, "b", begun=begun)
    place.keep("a", "b")
    place.track(TWO)
    past = place.past()
    assert past.decide() is not None
    assert said(past.history.messages) == exchanges("b")
    assert kept_in(past) == exchanges("a", "b")


def test_killed_before_the_fresh_session_was_learned(place: Place) -> None:
    """The tracking file has the session of before; the state is the new one's already."""
    place.rollout(ONE, "a", begun=BEGIN - timedelta(days=1))
    place.rollout(TWO, "b")
    place.keep("b")
    place.track(ONE)
    past = place.past()
    meta = past.decide()
    assert meta is not None
    assert meta.id == TWO
    assert said(past.history.messages) == exchanges("b")
    assert past.history.warnings == ()


def test_a_session_that_is_forgotten_is_not_resumed(place: Place) -> None:
    place.rollout(ONE, "a")
    place.track(ONE)
    past = place.past()
    assert past.decide() is not None
    past.session.forget()
    past = place.past()
    assert past.decide() is None
    assert past.history.warnings == ()


def test_another_daemons_folder_is_left_alone(place: Place) -> None:
    place.rollout(ONE, "a")
    place.track(ONE)
    first, place.running = place.past(), None
    second = place.past()
    assert second.decide() is not None
    second.session.forget()
    assert first.tracker.known() == ONE


class Killed(BaseException):
    """kill -9: nothing is done any more."""


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("saved", [True, False])
async def test_killed_while_the_conversation_is_set_aside(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: int, saved: bool
) -> None:
    """At any moment: either the next run tries all of it again, or the fresh one goes on; the old
    conversation is in one of the two, whole."""
    place.rollout(ONE, "a", "b")
    place.track(ONE)
    if saved:
        place.keep("a", "b")
    past = place.past()
    assert past.decide() is not None
    assert past.store is not None
    driver = FixedDriver()
    session = AgentSession(driver, agent_type="codex", store=past.store, history=past.history)
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
            (past.tracker, "forget"),
        ):
            patched.setattr(owner, name, dies(getattr(owner, name)))
        driver.emit(ConversationReset("it is refused"))
        past.session.forget()

    after = place.past()
    meta = after.decide()
    asides = [file for file in place.state_file.parent.glob("*Z") if holds(file, "a", "b")]
    if meta is not None:
        assert said(after.history.messages) == exchanges("a", "b")
    else:
        assert after.history.messages == ()
        assert asides
    assert after.history.warnings == ()


def holds(file: Path, *words: str) -> bool:
    messages = json.loads(file.read_text())["messages"]
    return [message["message"] for message in messages][1:] == exchanges(*words)
