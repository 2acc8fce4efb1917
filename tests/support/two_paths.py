"""The two paths of a linked Codex watch each other, in every end-to-end run.

Each run is recorded. When it is over, the recording is replayed through the driver that knows the
screen alone, and both must have come to the same: the same phases in the same order, the same
messages; and the messages must hold every word of the exact text.

What a replay cannot know is bounded here and nowhere else:

- A message of the link is not typed: the screen shows it without its control characters, which
  may paint over it (`_UNSEEN`), and its Markdown as such.
- The end of an answer is told when all its words are painted; the TUI may still put blank lines
  between them, and the sign of a quotation before each of its lines, which wraps them anew (0.158).
- A command may be painted behind the answer to it, when the link has told the end (0.142).
- The link may miss the user's words of a session's first turn (0.142), while it subscribes; the
  rollout has them.
- When a message follows the end of a turn at once (`AT_ONCE`), the TUI may never say that it was
  idle; when a call answers a question at once, it may never ask; and when a turn asks at once, it
  may paint the question with its first frame.
- When a question ends its turn, one path may know of the end before it is painted, and tell that
  the agent works until then.
- A message whose turn is interrupted at once may be neither recorded nor painted (0.142): only the
  first words of its answer and the mark of the interrupt stand on the screen, behind what was said
  before.
- The start-up screen is a message as it stood when the first message was sent, or, of a resumed
  conversation, no message at all.
- When the link is lost, or the daemon or Codex ends in the middle of a turn (`Run.cut`), one path
  may have heard of one change for which the other had no time, and the last message may lack its
  end. What is started after a loss is another Codex, and not in the recording.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from agentapi.model.comparison import squeeze
from agentapi.model.items import INTERRUPTED
from benchmarks.words import judge
from tests.support.codex import PROJECT
from tests.support.replay import replay

if TYPE_CHECKING:
    from tests.support.server import Server

Messages = list[tuple[str, str]]
"""(role, text) of each."""
AT_ONCE = 1.0
"""Seconds: on a busy machine the TUI is late."""
LINKED = "linked to Codex's app-server"
"""What a daemon logs."""
_FAILED = PROJECT / ".cache/failed"
_UNSEEN = re.compile(r"\x1b\[\d+~|[\x00-\x08\x0b-\x1f\x7f]")
"""What a terminal program takes out of a text before it shows it."""


@dataclass(frozen=True)
class Told:
    """A phase, told `at` seconds of some clock."""

    at: float
    phase: str


@dataclass
class Run:
    """What a daemon, or a driver, told of one Codex from its start to its end."""

    phases: list[Told]
    messages: Messages
    """Those of this run; a resumed session has more."""
    exact: Messages | None = None
    """What was said, to the letter and whole; None where nobody knows it any more."""
    markdown: bool = False
    """Whether `messages` are exact themselves."""
    cut: bool = False
    """Whether it ended in the middle of something."""


async def compare(recording: Path, run: Run) -> None:
    """Assert that the screen alone comes to the same as the link and the screen together. The
    recording of a run where it does not is kept."""
    told, lost = _between(run.phases)
    # A resume that Codex refused comes before the run that counts, another Codex after a loss.
    alone = await asyncio.to_thread(replay, recording, run=0 if lost else -1, patient=True)
    try:
        if run.exact is not None:
            check_words(_of_this_run(run.exact, run), run.messages)
        after_start = [phase for phase in alone.phases if phase != "starting"]
        _check_phases(told, after_start, run.cut or lost)
        _check_messages(run, alone.conversation[1:], lost)
    except AssertionError as error:
        _FAILED.mkdir(parents=True, exist_ok=True)
        kept = shutil.copy(recording, _FAILED / f"{recording.parent.name}-{recording.name}")
        raise AssertionError(f"{error}\nthe recording is kept: {kept}") from None


def check_words(exact: Messages, shown: Messages) -> None:
    """Assert that each message holds every word of what was said in its turn."""
    roles = [role for role, _ in exact]
    if exact and exact[0][0] == "agent":
        exact = [next(part for part in shown if part[0] == "user"), *exact]
    said = _turns(exact)
    told = _turns(_without_dropped(shown, {squeeze(asked) for asked, _ in said}))
    asked_exactly, asked_here = (
        [squeeze(_UNSEEN.sub("", asked)) for asked, _ in part] for part in (said, told)
    )
    assert asked_exactly == asked_here, f"said: {asked_exactly}, {roles}\ntold: {asked_here}"
    for (asked, text), (_, message) in zip(said, told, strict=True):
        readings = (judge(part, message).missing for part in (text, _UNSEEN.sub("", text)))
        missing = min(readings, key=len)
        assert not missing, f"the answer to {asked[:80]!r} lacks {missing[:20]}:\n{message}"


def agreeing(said: Iterable[tuple[str, str]]) -> bool:
    """Whether the sources that speak for Codex itself, (name, phase) each, say the same."""
    own = {phase for source, phase in said if source in ("link", "osc 7501", "title")}
    return len(own) <= 1


def _filled(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if line)


def _unquoted(text: str) -> str:
    """Without the signs of quotations and without layout."""
    return squeeze(re.sub(r"^ *> ", "", text, flags=re.MULTILINE))


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


def _without_dropped(messages: Messages, known: Container[str]) -> Messages:
    """The messages without those that nobody else knows, because they were interrupted at once;
    the mark of that stays, behind what was said before."""
    found: Messages = []
    for place, (role, text) in enumerate(messages):
        answer = messages[place + 1 : place + 2]
        at_once = not answer or answer[0][0] == "user" or INTERRUPTED in answer[0][1]
        if role == "user" and at_once and squeeze(text) not in known:
            continue
        if found and found[-1][0] == role == "agent":
            text = f"{found.pop()[1]}\n{text}"
        found.append((role, text))
    return found


def _of_this_run(exact: Messages, run: Run) -> Messages:
    """While a resumed session was waited for, somebody else may have gone on with it."""
    asked = [place for place, (role, _) in enumerate(exact) if role == "user"]
    own = sum(role == "user" for role, _ in run.messages)
    resumed = bool(run.messages) and run.messages[0][0] == "user"
    return exact[asked[-own] :] if resumed and len(asked) > own else exact


def _between(phases: Sequence[Told]) -> tuple[list[Told], bool]:
    """The phases between start and end, and whether the link was lost there."""
    inner = [*phases]
    if inner and inner[0].phase == "starting":
        inner.pop(0)
    if inner and inner[-1].phase == "exited":
        inner.pop()
    lost = next((n for n, told in enumerate(inner) if told.phase == "starting"), None)
    return inner[:lost], lost is not None


def _check_phases(told: list[Told], alone: list[str], cut: bool) -> None:
    left, right = _left(told, alone)
    # One path may have heard of one change more when all was cut short.
    assert (left, right) == (0, 0) or (cut and left + right == 1), _differing(
        [one.phase for one in told], alone
    )


def _ends_question(phases: Sequence[str]) -> list[bool]:
    """Of each phase, whether it is the work between a question and the end of its turn."""
    around = zip(["", *phases], phases, [*phases[1:], ""], strict=False)
    return [three == ("blocked", "working", "idle") for three in around]


def _left(told: Sequence[Told], alone: Sequence[str]) -> tuple[int, int]:
    """How many phases are left of each, when as many as possible were found in both."""
    told_ends, alone_ends = _ends_question([one.phase for one in told]), _ends_question(alone)

    @cache
    def left(here: int, there: int) -> tuple[int, int]:
        best = (len(told) - here, len(alone) - there)
        if all(best) and told[here].phase == alone[there]:
            best = min(best, left(here + 1, there + 1), key=sum)
        short = best[0] > 1 and told[here + 1].at < told[here].at + AT_ONCE
        if short and told[here].phase in ("idle", "blocked"):
            best = min(best, left(here + 1, there), left(here + 2, there), key=sum)
        if short and (told[here].phase, told[here + 1].phase) == ("working", "blocked"):
            best = min(best, left(here + 1, there), key=sum)
        if here < len(told) and told_ends[here]:
            best = min(best, left(here + 1, there), key=sum)
        if there < len(alone) and alone_ends[there]:
            best = min(best, left(here, there + 1), key=sum)
        return best

    return left(0, 0)


def _differing(told: object, alone: object) -> str:
    return f"with the link: {told}\nby the screen alone: {alone}"


def _differing_lines(told: str, alone: str) -> str:
    names = ("with the link", "by the screen alone")
    return "\n".join(unified_diff(told.split("\n"), alone.split("\n"), *names, n=1, lineterm=""))


def _check_messages(run: Run, alone: Messages, lost: bool) -> None:
    resumed = not run.messages or run.messages[0][0] == "user"
    told = run.messages if resumed else run.messages[1:]
    if resumed and not lost:  # its history may be painted when it is idle already
        alone = alone[_begin(alone, told, run.cut) :] if told else []
    if run.cut or lost:
        assert lost or abs(len(told) - len(alone)) <= 2, _differing(told, alone)
        both = max(0, min(len(told), len(alone)) - 1)
        told, alone = told[:both], alone[:both]
    if run.markdown:
        if run.exact is not None and not lost:
            check_words(_of_this_run(run.exact, run), alone)
        return
    painted = {squeeze(text) for role, text in alone if role == "user"}
    if len(told) != len(alone):
        told = _without_dropped(told, painted)
    for (role, text), (other, read) in zip_longest(told, alone, fillvalue=("nobody", "")):
        assert role == other, _differing(told, alone)
        if role == "agent":
            same = _filled(text) == _filled(read) or _unquoted(text) == _unquoted(read)
            late = _filled(read).startswith(f"{_filled(text)}\n• Ran ")
            assert same or late, _differing_lines(text, read)
        elif not _UNSEEN.search(text):
            assert squeeze(text) == squeeze(read) or not judge(text, read).missing, (text, read)


def _begin(alone: Messages, told: Messages, cut: bool) -> int:
    """Where in `alone` what was `told` begins: both end together, unless all was cut short."""
    place = max(0, len(alone) - len(told))
    if cut:
        near = range(max(0, place - 2), min(len(alone), place + 3))
        same = (n for n in near if [squeeze(t) for t in alone[n]] == [squeeze(t) for t in told[0]])
        return min(same, key=lambda n: abs(n - place), default=place)
    return place


async def watch_paths(server: Server, recording: Path, options: Sequence[str]) -> None:
    """At the end of a test's daemon: where its Codex is linked, compare what it told until now
    with its recording."""
    if LINKED not in server.log:
        return
    if "--record" in options:
        recording = Path(options[options.index("--record") + 1])
    running = server.process.returncode is None
    exact = await _asked(server) if running else None
    phases = server.phases
    cut = not running or not phases or phases[-1].phase not in ("idle", "blocked")
    run = Run(phases, server.told_since_start, exact, markdown="markdown" in options, cut=cut)
    await compare(recording, run)


async def _asked(server: Server) -> Messages | None:
    """What was said since the start, when all sources agree that it is over."""
    about = await server.get("/session")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AT_ONCE):
            while not agreeing((e["source"], e["phase"]) for e in about["evidence"] or ()):
                await asyncio.sleep(0.02)  # no event tells of evidence
                about = await server.get("/session")
    await server.until(lambda: server.phases[-1].phase == about["phase"], "the phase in the log")
    if about["phase"] != "idle":
        return None
    items = [item async for item in server.items()]
    roles = {"user_message": "user", "agent_message": "agent"}
    return [
        (roles[item["kind"]], item["text"])
        for item in items
        if item["kind"] in roles and not item["partial"] and item["time"] >= server.started
    ]
