"""The two paths of a linked Codex watch each other, in every end-to-end run.

Each run is recorded. When it is over, the recording is replayed through the driver that knows the
screen alone, and both must have come to the same: the same phases in the same order, the same
messages; and the messages must hold every word of the exact text.

What a replay cannot know is bounded here and nowhere else:

- A message of the link is not typed: the screen shows it without its control characters (`seen`).
- When the link is lost, or the daemon or Codex ends in the middle of a turn (`Run.cut`), one path
  may have heard of one change for which the other had no time, and the last message may lack its
  end. What is started after a loss is another Codex, and not in the recording.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from agentapi.agents.profile import squeeze
from benchmarks.words import judge
from tests.support.codex import PROJECT
from tests.support.replay import replay

Messages = list[tuple[str, str]]
"""(role, text) of each."""
_FAILED = PROJECT / ".cache/failed"
_UNSEEN = re.compile(r"\x1b\[\d+~|[\x00-\x08\x0b-\x1f\x7f]")
"""What a terminal program takes out of a text before it shows it."""


@dataclass
class Run:
    """What a daemon, or a driver, told of one Codex from its start to its end."""

    phases: list[str]
    messages: Messages
    """Those of this run; a resumed session has more."""
    exact: Messages | None = None
    """What was said, to the letter and whole; None where nobody could be asked any more."""
    markdown: bool = False
    """Whether `messages` are exact themselves."""
    cut: bool = False
    """Whether it ended in the middle of something."""


async def compare(recording: Path, run: Run) -> None:
    """Assert that the screen alone comes to the same as the link and the screen together. The
    recording of a run where it does not is kept."""
    told, lost = _between(run.phases)
    # A resume that Codex refused comes before the run that counts, another Codex after a loss.
    alone = await asyncio.to_thread(replay, recording, run=0 if lost else -1)
    try:
        if run.exact is not None:
            check_words(run.exact, run.messages)
        _check_phases(told, _between(alone.phases)[0], run.cut or lost)
        # A resumed conversation is painted as a part of the start-up screen.
        fresh = bool(run.messages) and run.messages[0][0] == "agent"
        _check_messages(run, alone.conversation[0 if fresh else 1 :], run.cut or lost)
    except AssertionError as error:
        _FAILED.mkdir(parents=True, exist_ok=True)
        kept = shutil.copy(recording, _FAILED / f"{recording.parent.name}-{recording.name}")
        raise AssertionError(f"{error}\nthe recording is kept: {kept}") from None


def check_words(exact: Messages, shown: Messages) -> None:
    """Assert that each message holds every word of what was said in its turn."""
    said, told = _turns(exact), _turns(shown)
    asked_exactly, asked_here = ([seen(asked) for asked, _ in part] for part in (said, told))
    assert asked_exactly == asked_here, f"said: {asked_exactly}\ntold: {asked_here}"
    for (asked, text), (_, message) in zip(said, told, strict=True):
        missing = judge(text, message).missing
        assert not missing, f"the answer to {asked[:80]!r} lacks {missing[:20]}:\n{message}"


def seen(text: str) -> str:
    """What a screen can show of a user's message, apart from its layout."""
    return squeeze(_UNSEEN.sub("", text))


def _turns(messages: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the user asked and all that the agent said to it."""
    found: list[tuple[str, str]] = []
    for role, text in messages:
        if role == "user":
            found.append((text, ""))
        elif found:
            asked, said = found[-1]
            found[-1] = (asked, f"{said}\n\n{text}" if said else text)
    return found


def _between(phases: Sequence[str]) -> tuple[list[str], bool]:
    """The phases between start and end, and whether the link was lost there."""
    inner = [*phases]
    if inner[:1] == ["starting"]:
        inner = inner[1:]
    if inner[-1:] == ["exited"]:
        inner = inner[:-1]
    if "starting" in inner:
        return inner[: inner.index("starting")], True
    return inner, False


def _check_phases(told: list[str], alone: list[str], cut: bool) -> None:
    if cut:
        both = min(len(told), len(alone))
        assert told[:both] == alone[:both], _differing(told, alone)
        assert abs(len(told) - len(alone)) <= 1, _differing(told, alone)
    else:
        assert told == alone, _differing(told, alone)


def _differing(told: object, alone: object) -> str:
    return f"with the link: {told}\nby the screen alone: {alone}"


def _check_messages(run: Run, alone: Messages, cut: bool) -> None:
    told = run.messages
    if cut:
        both = max(0, min(len(told), len(alone)) - 1)
        assert abs(len(told) - len(alone)) <= 2, _differing(told, alone)
        told, alone = told[:both], alone[:both]
    if run.markdown:
        check_words(told, alone)
        return
    for (role, text), (other, read) in zip_longest(told, alone, fillvalue=("nobody", "")):
        same = seen(text) == seen(read) if role == "user" else text == read
        assert role == other, _differing((role, text), (other, read))
        assert same, _differing(text, read)
