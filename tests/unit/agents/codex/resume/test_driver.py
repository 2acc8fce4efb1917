from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from agentapi.agents.codex.resume import driver as resuming
from agentapi.agents.codex.resume.driver import ResumingDriver, RunPlan
from agentapi.agents.driver import AcceptsRecord, Sink
from agentapi.agents.generic.evidence import SourceReport
from agentapi.model.conversation import Phase, PhaseState
from agentapi.model.errors import Busy
from agentapi.model.events import (
    AgentText,
    DriverEvent,
    Exited,
    Forgot,
    Noticed,
    PhaseChanged,
    ScreenChanged,
    UserText,
)
from agentapi.model.items import Entry

HELD = "This conversation is open in another app"
GONE = "ERROR: No saved session found"


class Run:
    """One run, told by the test what happens."""

    transport = "pty"

    def __init__(self, resume: bool | None) -> None:
        self.resume = resume
        self.sink: Sink | None = None
        self.pid: int | None = None
        self.shown = ""
        self.typed: list[str] = []
        self.size: tuple[int, int] | None = None
        self.stopped = 0
        self.watchers: list[Callable[[bytes], None]] = []

    async def start(self, sink: Sink) -> None:
        self.sink, self.pid = sink, 42

    def tell(self, event: DriverEvent) -> None:
        assert self.sink is not None
        self.sink(event)

    def show(self, screen: str) -> None:
        self.shown = screen
        self.tell(ScreenChanged())

    def phase(self, phase: Phase) -> None:
        self.tell(PhaseChanged(PhaseState(phase, "test")))

    def end(self, code: int | None, screen: str = "", signal: int | None = None) -> None:
        self.phase(Phase.EXITED)
        self.tell(Exited(code, signal, screen))

    async def send(self, text: str) -> None:
        self.typed.append(text)

    async def keys(self, data: str) -> None:
        self.typed.append(data)

    async def interrupt(self) -> None:
        self.typed.append("interrupt")

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        self.typed.append(dialog_id + choice_id)

    async def resize(self, columns: int, rows: int) -> None:
        self.size = (columns, rows)

    def screen(self) -> str:
        return self.shown

    def reading(self) -> bool:
        return True

    def evidence(self) -> Sequence[SourceReport]:
        return ()

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        self.typed.append(f"{len(entries)} entries, anew={anew}")

    def repaint(self) -> bytes:
        return self.shown.encode()

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        self.watchers.append(listener)
        return lambda: self.watchers.remove(listener)

    async def stop(self, grace: float) -> None:
        self.stopped += 1


class Story:
    """A driver, its runs, and what was told."""

    def __init__(self, resume: bool) -> None:
        self.runs: list[Run] = []
        self.events: list[DriverEvent | str] = []
        self.ready: list[bool] = []
        self.ended: list[Exited] = []
        self.release = asyncio.Event()
        self.release.set()
        self.started = asyncio.Event()
        plan = RunPlan(
            make=self.make,
            resume=resume,
            free=self.free,
            held_key=lambda screen: "r" if HELD in screen else "",
            painted=lambda screen: "history" in screen,
            gone=lambda screen: GONE in screen,
            started=lambda pid: self.started.set(),
            ready=self.ready.append,
            ended=self.ended.append,
            refused=lambda: self.events.append("refused"),
            forgotten=lambda: self.events.append("forgotten"),
        )
        self.driver = ResumingDriver(plan)

    async def make(self, resume: bool) -> Run:
        self.runs.append(Run(resume))
        return self.runs[-1]

    async def free(self, tell: Callable[[str], None]) -> None:
        while not self.release.is_set():
            tell("process 7")
            await self.release.wait()

    async def start(self) -> Run:
        await self.driver.start(self.events.append)
        return self.runs[-1]

    async def next_run(self) -> Run:
        self.started.clear()
        await self.started.wait()
        return self.runs[-1]

    async def idle(self, run: Run) -> None:
        """The resumed run has painted its history and waits for the user."""
        run.phase(Phase.IDLE)
        assert self.ready == []
        run.show("the history")
        while not self.ready:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    @property
    def notices(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Noticed)]

    @property
    def forgot(self) -> Forgot | None:
        return next((event for event in self.events if isinstance(event, Forgot)), None)

    @property
    def phases(self) -> list[Phase]:
        return [event.state.phase for event in self.events if isinstance(event, PhaseChanged)]


async def test_a_resume_that_succeeds_is_told_once_it_waits_for_the_user() -> None:
    story = Story(resume=True)
    run = await story.start()
    assert run.resume
    run.tell(UserText("from the history"))
    run.tell(AgentText("from the history"))
    run.phase(Phase.WORKING)
    assert story.ready == []
    await story.idle(run)
    run.tell(UserText("new"))
    run.phase(Phase.IDLE)
    assert story.ready == [True]
    assert [e for e in story.events if isinstance(e, UserText | AgentText)] == [UserText("new")]


async def test_an_unknown_session_leads_to_a_fresh_start() -> None:
    story = Story(resume=True)
    run = await story.start()
    await story.driver.resize(100, 40)
    run.end(1, f"{GONE} with ID x")
    fresh = await story.next_run()
    assert (fresh.resume, fresh.size, run.stopped) == (False, (100, 40), 1)
    assert story.events[:3] == ["refused", story.forgot, "forgotten"]
    assert story.forgot is not None
    assert "a fresh one is started" in story.forgot.why
    assert GONE in story.forgot.why
    assert story.notices == []
    assert Phase.EXITED not in story.phases
    fresh.phase(Phase.IDLE)
    assert story.ready == [False]


async def test_another_failure_is_tried_once_more() -> None:
    story = Story(resume=True)
    run = await story.start()
    run.end(1, "a hiccup")
    again = await story.next_run()
    assert again.resume
    again.end(1, "a hiccup")
    assert not (await story.next_run()).resume
    assert story.notices == []
    assert story.forgot is not None
    assert "a hiccup" in story.forgot.why


@pytest.mark.parametrize(("code", "signal"), [(0, None), (None, 9), (137, None)])
async def test_a_killed_or_quit_agent_did_not_refuse(code: int | None, signal: int | None) -> None:
    story = Story(resume=True)
    run = await story.start()
    run.end(code, "", signal)
    assert story.events[-1] == Exited(code, signal, "")
    assert (len(story.runs), story.notices) == (1, [])


async def test_the_end_of_a_fresh_run_and_of_a_ready_one_is_the_agents_own() -> None:
    fresh = Story(resume=False)
    (await fresh.start()).end(1, GONE)
    assert isinstance(fresh.events[-1], Exited)
    ready = Story(resume=True)
    run = await ready.start()
    await ready.idle(run)
    run.end(1, GONE)
    assert isinstance(ready.events[-1], Exited)
    assert len(ready.runs) == 1


async def test_nothing_is_started_while_another_has_the_session() -> None:
    story = Story(resume=True)
    story.release.clear()
    starting = asyncio.create_task(story.start())
    while not story.notices:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert story.runs == []
    assert story.phases == [Phase.STARTING]
    assert "in use by process 7" in story.notices[0]
    story.release.set()
    assert (await starting).resume


async def test_a_screen_that_says_held_is_tried_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "RETRY_INTERVAL", 0.001)
    story = Story(resume=True)
    run = await story.start()
    run.show(f"…{HELD}…")
    while len(run.typed) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert set(run.typed) == {"r"}
    assert len(story.notices) == 1
    await story.idle(run)
    typed = len(run.typed)
    await asyncio.sleep(0.01)
    assert len(run.typed) == typed


async def test_ready_is_not_told_before_the_history_is_painted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "PAINTING_GAP", 0.001)
    story = Story(resume=True)
    run = await story.start()
    run.phase(Phase.IDLE)
    run.show("nothing yet")
    await asyncio.sleep(0.02)
    assert (story.ready, Phase.IDLE in story.phases) == ([], False)
    run.phase(Phase.BLOCKED)
    await story.idle(run)
    assert story.phases == [Phase.BLOCKED, Phase.IDLE]


async def test_no_message_is_handed_on_while_the_history_is_painted() -> None:
    story = Story(resume=True)
    with pytest.raises(Busy):
        await story.driver.send("before the start")
    with pytest.raises(LookupError):
        await story.driver.answer("1", "y")
    run = await story.start()
    run.phase(Phase.IDLE)
    with pytest.raises(Busy):
        await story.driver.send("too early")
    await story.idle(run)
    await story.driver.send("now")
    assert run.typed == ["now"]


async def test_a_history_that_never_shows_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "PAINTING_GAP", 0.001)
    monkeypatch.setattr(resuming, "PAINTING_LIMIT", 0.01)
    story = Story(resume=True)
    run = await story.start()
    run.phase(Phase.IDLE)
    while not story.ready:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert story.phases == [Phase.IDLE]


async def test_watchers_see_every_run() -> None:
    story = Story(resume=True)
    seen: list[bytes] = []
    unwatch = story.driver.watch(seen.append)
    run = await story.start()
    run.watchers[0](b"one")
    run.end(1, GONE)
    (await story.next_run()).watchers[0](b"two")
    unwatch()
    story.runs[-1].watchers[0](b"three")
    assert seen == [b"one", b"two"]


async def test_a_stop_in_between_starts_nothing_more() -> None:
    story = Story(resume=True)
    run = await story.start()
    run.end(1, GONE)
    await story.driver.stop(1)
    assert len(story.runs) == 1


async def test_what_the_record_says_goes_to_the_run() -> None:
    story = Story(resume=False)
    run = await story.start()
    assert isinstance(story.driver, AcceptsRecord)
    story.driver.recorded((), anew=True)
    assert run.typed == ["0 entries, anew=True"]
