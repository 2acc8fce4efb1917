"""Codex's current session: its sources, and when it is tracked on disk."""

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
    """A session, its tracker and the lines logged for operators."""

    def __init__(self, folder: Path) -> None:
        self.tracker = SessionTracker(folder / "sessions", folder)
        self.lines: list[str] = []
        self.session = CurrentSession(self.tracker, self.lines.append)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_session_is_tracked_when_codex_switches_to_it(place: Place) -> None:
    assert place.session.switch_to(meta(ONE), ROLLOUT) is None
    assert place.tracker.lookup() == ONE
    assert (place.session.id, place.session.version) == (ONE, "0.169.0")
    assert place.session.rollout == ROLLOUT
    assert place.lines == [f"✓ Session tracked: {ONE}"]


def test_the_same_session_in_another_file_is_not_a_new_one(place: Place) -> None:
    place.session.switch_to(meta(ONE), ROLLOUT)
    assert place.session.switch_to(meta(ONE), Path("other.jsonl")) is None
    assert place.session.rollout == Path("other.jsonl")
    assert len(place.lines) == 1


def test_switching_returns_the_previous_session(place: Place) -> None:
    place.session.switch_to(meta(ONE), ROLLOUT)
    assert place.session.switch_to(meta(TWO), ROLLOUT) == ONE
    assert place.tracker.lookup() == TWO


def test_a_resumed_session_is_tracked_on_request(place: Place) -> None:
    place.session.resume(meta(ONE), ROLLOUT)
    assert place.tracker.lookup() is None
    place.session.track()
    assert place.tracker.lookup() == ONE


def known(session: CurrentSession) -> tuple[str | None, str | None]:
    return session.id, session.version


def test_the_link_takes_precedence_and_is_not_tracked(place: Place) -> None:
    session = place.session
    session.resume(meta(ONE, ""), ROLLOUT)
    assert known(session) == (ONE, None)
    session.link_started("0.170.0")
    session.link_opened(TWO)
    assert known(session) == (TWO, "0.170.0")
    assert session.recorded_id == ONE
    assert place.tracker.lookup() is None
    session.link_lost()
    assert known(session) == (ONE, "0.170.0")
    session.run_started()
    assert known(session) == (ONE, None)


def test_only_the_owner_untracks_a_discarded_session(place: Place) -> None:
    session = place.session
    session.switch_to(meta(ONE), ROLLOUT)
    session.discard()
    assert known(session) == (None, None)
    assert session.rollout is None
    session.untrack()
    assert place.tracker.lookup() is None
    place.tracker.save(TWO)
    place.tracker.release()
    session.untrack()
    assert place.tracker.lookup() == TWO


def test_a_fresh_session_has_no_id_yet(place: Place) -> None:
    place.session.resume(meta(ONE), ROLLOUT)
    place.session.start_fresh()
    assert place.session.id is None


def test_a_folder_that_another_daemon_owns_is_left_alone(place: Place, tmp_path: Path) -> None:
    other = SessionTracker(tmp_path / "sessions", tmp_path)
    assert other.acquire()
    place.session.switch_to(meta(ONE), ROLLOUT)
    assert (other.lookup(), place.session.id, place.lines) == (None, ONE, [])


def test_without_a_tracker_nothing_is_kept() -> None:
    session = CurrentSession()
    session.switch_to(meta(ONE), ROLLOUT)
    session.untrack()
    assert session.id == ONE
