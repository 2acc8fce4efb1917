"""Who waits for input, told by where the kernel keeps a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentapi.processes.busy import is_busy

GROUP = 70
AT_WORK = ("S", "hrtimer_nanosleep")
PARENT = ("S", "do_wait")
READS = ("S", "wait_woken")
POLLS = ("S", "poll_schedule_timeout.constprop.0")
HIDDEN = ("S", "0")


@pytest.mark.parametrize(
    ("processes", "busy"),
    [
        ([AT_WORK], True),
        ([PARENT, AT_WORK], True),
        ([("R", "0")], True),
        ([READS], False),
        ([POLLS], False),
        ([PARENT, READS], False),
        ([HIDDEN], False),
        ([("Z", "0")], False),
        ([], False),
    ],
)
def test_what_is_known_not_to_wait(
    tmp_path: Path, processes: list[tuple[str, str]], busy: bool
) -> None:
    """Another group's processes do not count, nor what the kernel does not tell."""
    for pid, (state, place, group) in enumerate(
        [*((*one, GROUP) for one in processes), (*READS, GROUP + 1)], 70
    ):
        (folder := tmp_path / str(pid)).mkdir()
        (folder / "stat").write_text(f"{pid} (a) name) {state} 1 {group} 1{' 0' * 20}\n")
        (folder / "wchan").write_text(place)
    assert is_busy(GROUP, tmp_path) is busy
