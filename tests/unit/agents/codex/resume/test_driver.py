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
    ConversationReset,
    DriverEvent,
    Exited,
    NoticeRaised,
    PhaseChanged,
    ScreenChanged,
    UserText,
)
from agentapi.model.items import Entry

HELD = "This conversation is open in another app"
GONE = "ERROR: No saved session found"


class Run:
    """A run whose events the test emits."""

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

    def emit(self, event: DriverEvent) -> None:
        assert self.sink is not None
        self.sink(event)

    def show(self, screen: str) -> None:
        self.shown = screen
        self.emit(ScreenChanged())

    def phase(self, phase: Phase) -> None:
        self.emit(PhaseChanged(PhaseState(phase, "test")))

    def end(self, code: int | None, screen: str = "", signal: int | None = None) -> None:
        self.phase(Phase.EXITED)
        self.emit(Exited(code, signal, screen))

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
    """A driver, its runs and its events."""

    def __init__(self, resume: bool) -> None:
        self.runs: list[Run] = []
        self.events: list[DriverEvent | str] = []
        self.ready: list[bool] = []
        self.ended: list[Exited] = []
        self.release = asyncio.Event()
        self.release.set()
        self.started = asyncio.Event()
        plan = RunPlan(
            make_program=self.make,
            resume=resume,
            wait_until_free=self.free,
            retry_key=lambda screen: "r" if HELD in screen else "",
            is_rendered=lambda screen: "history" in screen,
            is_missing=lambda screen: GONE in screen,
            on_started=lambda pid: self.started.set(),
            on_ready=self.ready.append,
            on_exited=self.ended.append,
            on_refused=lambda: self.events.append("refused"),
            on_set_aside=lambda: self.events.append("set aside"),
        )
        self.driver = ResumingDriver(plan)

    async def make(self, resume: bool) -> Run:
        self.runs.append(Run(resume))
        return self.runs[-1]

    async def free(self, report: Callable[[str], None]) -> None:
        while not self.release.is_set():
            report("process 7")
            await self.release.wait()

    async def start(self) -> Run:
        await self.driver.start(self.events.append)
        return self.runs[-1]

    async def next_run(self) -> Run:
        self.started.clear()
        await self.started.wait()
        return self.runs[-1]

    async def idle(self, run: Run) -> None:
        """Let the resumed run render its history and wait for the user."""
        run.phase(Phase.IDLE)
        assert self.ready == []
        run.show("the history")
        while not self.ready:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    @property
    def notices(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, NoticeRaised)]

    @property
    def forgot(self) -> ConversationReset | None:
        return next((event for event in self.events if isinstance(event, ConversationReset)), None)

    @property
    def phases(self) -> list[Phase]:
        return [event.state.phase for event in self.events if isinstance(event, PhaseChanged)]


async def test_a_successful_resume_is_reported_once_it_waits_for_the_user() -> None:
    story = Story(resume=True)
    run = await story.start()
    assert run.resume
    run.emit(UserText("from the history"))
    run.emit(AgentText("from the history"))
    run.phase(Phase.WORKING)
    assert story.ready == []
    await story.idle(run)
    run.emit(UserText("new"))
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
    assert story.events[:3] == ["refused", story.forgot, "set aside"]
    assert story.forgot is not None
    assert "a fresh one is started" in story.forgot.reason
    assert GONE in story.forgot.reason
    assert story.notices == []
    assert Phase.EXITED not in story.phases
    fresh.phase(Phase.IDLE)
    assert story.ready == [False]


async def test_another_failure_is_retried_once() -> None:
    story = Story(resume=True)
    run = await story.start()
    run.end(1, "a hiccup")
    again = await story.next_run()
    assert again.resume
    again.end(1, "a hiccup")
    assert not (await story.next_run()).resume
    assert story.notices == []
    assert story.forgot is not None
    assert "a hiccup" in story.forgot.reason


@pytest.mark.parametrize(("code", "signal"), [(0, None), (None, 9), (137, None)])
async def test_a_killed_or_quit_agent_did_not_refuse(code: int | None, signal: int | None) -> None:
    story = Story(resume=True)
    run = await story.start()
    run.end(code, "", signal)
    assert story.events[-1] == Exited(code, signal, "")
    assert (len(story.runs), story.notices) == (1, [])


async def test_the_end_of_a_fresh_or_ready_run_is_final() -> None:
    fresh = Story(resume=False)
    (await fresh.start()).end(1, GONE)
    assert isinstance(fresh.events[-1], Exited)
    ready = Story(resume=True)
    run = await ready.start()
    await ready.idle(run)
    run.end(1, GONE)
    assert isinstance(ready.events[-1], Exited)
    assert len(ready.runs) == 1


async def test_nothing_starts_while_another_program_has_the_session() -> None:
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


async def test_a_held_session_is_retried_repeatedly(
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


async def test_ready_is_not_reported_before_the_history_is_rendered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "RENDER_QUIET", 0.001)
    story = Story(resume=True)
    run = await story.start()
    run.phase(Phase.IDLE)
    run.show("nothing yet")
    await asyncio.sleep(0.02)
    assert (story.ready, Phase.IDLE in story.phases) == ([], False)
    run.phase(Phase.BLOCKED)
    await story.idle(run)
    assert story.phases == [Phase.BLOCKED, Phase.IDLE]


async def test_no_message_is_sent_while_the_history_is_rendered() -> None:
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


async def test_waiting_for_the_history_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resuming, "RENDER_QUIET", 0.001)
    monkeypatch.setattr(resuming, "RENDER_TIMEOUT", 0.01)
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


async def test_record_entries_are_passed_to_the_run() -> None:
    story = Story(resume=False)
    run = await story.start()
    assert isinstance(story.driver, AcceptsRecord)
    story.driver.recorded((), anew=True)
    assert run.typed == ["0 entries, anew=True"]
