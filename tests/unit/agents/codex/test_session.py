"""The one holder of Codex's session: who tells it what, and when the disk hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentapi.agents.codex.resume.session_files import SessionMeta
from agentapi.agents.codex.resume.sessions import SessionTracker
from agentapi.agents.codex.session import CurrentSession

ONE, TWO = ("019ac3b0-0000-7000-8000-00000000000" + digit for digit in "12")
ROLLOUT = Path("rollout.jsonl")


def meta(session: str, version: str = "0.169.0") -> SessionMeta:
    return SessionMeta(session, "/work", version, "2026-01-01T00:00:00Z", by_user=True)


class Place:
    """A session, its tracker and what operators were told."""

    def __init__(self, folder: Path) -> None:
        self.tracker = SessionTracker(folder / "sessions", folder)
        self.lines: list[str] = []
        self.session = CurrentSession(self.tracker, self.lines.append)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_session_is_remembered_when_codex_turns_to_it(place: Place) -> None:
    assert place.session.turn_to(meta(ONE), ROLLOUT) is None
    assert place.tracker.known() == ONE
    assert (place.session.id, place.session.version) == (ONE, "0.169.0")
    assert place.session.rollout == ROLLOUT
    assert place.lines == [f"✓ Session tracked: {ONE}"]


def test_the_same_session_in_another_file_is_no_other_one(place: Place) -> None:
    place.session.turn_to(meta(ONE), ROLLOUT)
    assert place.session.turn_to(meta(ONE), Path("other.jsonl")) is None
    assert place.session.rollout == Path("other.jsonl")
    assert len(place.lines) == 1


def test_another_session_tells_the_one_before(place: Place) -> None:
    place.session.turn_to(meta(ONE), ROLLOUT)
    assert place.session.turn_to(meta(TWO), ROLLOUT) == ONE
    assert place.tracker.known() == TWO


def test_a_resumed_session_is_remembered_when_it_is_asked_for(place: Place) -> None:
    place.session.resume(meta(ONE), ROLLOUT)
    assert place.tracker.known() is None
    place.session.remember()
    assert place.tracker.known() == ONE


def known(session: CurrentSession) -> tuple[str | None, str | None]:
    return session.id, session.version


def test_what_the_link_tells_goes_first_and_is_not_kept(place: Place) -> None:
    session = place.session
    session.resume(meta(ONE, ""), ROLLOUT)
    assert known(session) == (ONE, None)
    session.link_starts("0.170.0")
    session.link_opens(TWO)
    assert known(session) == (TWO, "0.170.0")
    assert session.recorded_id == ONE
    assert place.tracker.known() is None
    session.link_ends()
    assert known(session) == (ONE, "0.170.0")
    session.run_begins()
    assert known(session) == (ONE, None)


def test_a_session_that_is_given_up_is_forgotten_by_its_owner_alone(place: Place) -> None:
    session = place.session
    session.turn_to(meta(ONE), ROLLOUT)
    session.give_up()
    assert known(session) == (None, None)
    assert session.rollout is None
    session.forget()
    assert place.tracker.known() is None
    place.tracker.remember(TWO)
    place.tracker.release()
    session.forget()
    assert place.tracker.known() == TWO


def test_a_fresh_session_has_no_id_yet(place: Place) -> None:
    place.session.resume(meta(ONE), ROLLOUT)
    place.session.begin_afresh()
    assert place.session.id is None


def test_a_folder_that_another_daemon_owns_is_left_alone(place: Place, tmp_path: Path) -> None:
    other = SessionTracker(tmp_path / "sessions", tmp_path)
    assert other.own()
    place.session.turn_to(meta(ONE), ROLLOUT)
    assert (other.known(), place.session.id, place.lines) == (None, ONE, [])


def test_without_a_tracker_nothing_is_kept() -> None:
    session = CurrentSession()
    session.turn_to(meta(ONE), ROLLOUT)
    session.forget()
    assert session.id == ONE
