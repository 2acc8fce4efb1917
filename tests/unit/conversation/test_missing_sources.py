"""Every recording again with one source of evidence taken away: the phases stay what they are.

What they are with all sources stands beside each recording (`test_recordings`). A source that a
recording does not have is not taken away: it would be the same replay again. No recording of a bare
Codex has a notification, because its terminal has the focus; those of `test_recorded_evidence` do.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agentapi.conversation.status import Source
from agentapi.model.conversation import Phase
from agentapi.model.events import PhaseChanged
from tests.recordings.expect import expected_path, recordings
from tests.support.deaf import NUMBERS, Without, blind
from tests.support.replay import Replayed, replay

IMPATIENT = (
    "nothing but the title tells the end of a turn of this version at once (no mark on the screen,"
    " no notification to a terminal with focus), and the next key was pressed before the quiet time"
    " of 3 s was over; a message of a client would have been refused until then"
)
SERVERS_START = "the title of this version spins while MCP servers start, which is no turn"
EXCEPTIONS = {
    (version, scenario, Source.TITLE): (phases, IMPATIENT)
    for version in ("0.125.0", "0.142.0")
    for scenario, phases in (
        ("three-prompts", "starting idle working idle"),
        ("three-prompts-67x1190", "starting idle working idle"),
        ("three-prompts-inline-80x24", "starting idle working idle"),
        ("exit", "starting idle working"),
        ("pager-open", "starting idle working"),
    )
} | {
    # Here what ends first is the start of an MCP server, which has a working line of its own.
    ("0.142.0", f"mcp-{kind}", Source.TITLE): (
        "starting idle working blocked working idle",
        IMPATIENT,
    )
    for kind in ("choices", "page", "plain", "tool", "words")
}
"""(version, scenario, source) -> the phases without it, and why they cannot be the right ones."""


def cases() -> list[tuple[Path, Source]]:
    """Each recording with each source that it has."""
    found = []
    for path in recordings():
        output = path.read_text(encoding="utf-8")
        signs = {Source.OSC: "]7501;", Source.TITLE: "]0;", Source.NOTIFICATION: "]9;"}
        assert signs.keys() == NUMBERS.keys()
        found += [(path, source) for source, sign in signs.items() if sign in output]
        found.append((path, Source.SCREEN))
    return found


def without(path: Path, source: Source) -> Replayed:
    """Replay a recording without a source, and see that it is not there."""
    if source is Source.SCREEN:
        replayed = replay(path, blind())
    else:
        replayed = replay(path, edit=Without(source))
    states = [event.state for _, event in replayed.events if isinstance(event, PhaseChanged)]
    reasons = [state.reason for state in states if state.phase is not Phase.BLOCKED]
    assert [why for why in reasons if why.startswith(f"{source.label}:")] == []
    return replayed


CASES = cases()


def test_each_source_is_taken_away_somewhere() -> None:
    assert {source for _, source in CASES} == {Source.OSC, Source.TITLE, Source.SCREEN}
    named = {(path.parent.name, path.stem, source) for path, source in CASES}
    assert EXCEPTIONS.keys() <= named


@pytest.mark.parametrize(
    ("path", "source"), CASES, ids=[f"{p.parent.name}-{p.stem}-{s.name}" for p, s in CASES]
)
def test_the_phases_are_right_without_it(path: Path, source: Source) -> None:
    first = expected_path(path).read_text(encoding="utf-8").split("\n", 1)[0]
    right = first.removeprefix("phases: ")
    expected, _ = EXCEPTIONS.get((path.parent.name, path.stem, source), (right, ""))
    assert " ".join(without(path, source).phases) == expected
