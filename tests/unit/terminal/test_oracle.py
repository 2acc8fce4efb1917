"""Our screen and scrollback against tmux's, for every recording of a real program.

tmux's answers are kept beside the recordings (`python -m tests.recordings.oracle` writes them), so
that no tmux is needed here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agentapi.terminal import Emulator
from agentapi.terminal.recording import read_recording
from tests.recordings.differences import DIFFERENCES, Difference
from tests.recordings.oracle import FOLDER, all_casts, fingerprint, read_verdict, verdict_path


def shown(cast: Path) -> tuple[list[str], list[str]]:
    """(scrollback, screen) as we see it."""
    recording = read_recording(cast)
    emulator = Emulator(recording.columns, recording.rows, scrollback=20_000)
    for data, size in recording.segments():
        emulator.feed(data)
        if size:
            emulator.resize(*size)
    emulator.end_synchronized()
    return emulator.scrollback_lines(), emulator.screen_lines()


def expected(cast: Path) -> tuple[list[str], list[str]]:
    """(scrollback, screen) as tmux sees it, with the differences that are explained."""
    _, scrollback, screen = read_verdict(cast)
    for difference in DIFFERENCES:
        if cast.relative_to(FOLDER).match(difference.casts):
            scrollback = [line.replace(difference.tmux, difference.ours) for line in scrollback]
            screen = [line.replace(difference.tmux, difference.ours) for line in screen]
    return scrollback, screen


def name(cast: Path) -> str:
    return str(cast.relative_to(FOLDER).with_suffix(""))


@pytest.mark.parametrize("cast", all_casts(), ids=name)
def test_same_as_tmux(cast: Path) -> None:
    command = f"run: python -m tests.recordings.oracle {cast.relative_to(FOLDER.parents[1])}"
    assert verdict_path(cast).exists(), command
    assert read_verdict(cast)[0] == fingerprint(read_recording(cast)), command
    assert shown(cast) == expected(cast)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.why)
def test_every_explained_difference_is_still_there(difference: Difference) -> None:
    casts = [cast for cast in all_casts() if cast.relative_to(FOLDER).match(difference.casts)]
    assert any(difference.tmux in "\n".join(read_verdict(cast)[2]) for cast in casts)
