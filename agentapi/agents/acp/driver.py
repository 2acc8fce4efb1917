"""Drive an agent that speaks the Agent Client Protocol over its standard streams.

    starting --session open--> idle --send--> working --stop reason--> idle
                                              working <--permission--> blocked

There is no terminal, so there is no screen and no start-up message. Of keystrokes, Esc (or Ctrl-C)
stops the turn, a digit picks a choice of the open dialog, and all others are ignored.

Nothing is approved on the user's behalf: a permission request becomes a dialog, and is refused if
nobody answers in time.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentapi.agents.acp.permission import PermissionQueue, PermissionRequest
from agentapi.agents.acp.process import Ending, StdioProcess
from agentapi.agents.acp.wire import AgentRefused
from agentapi.agents.driver import Sink
from agentapi.agents.generic.evidence import ProtocolLog, SourceReport
from agentapi.conversation.question import question_text
from agentapi.conversation.turn_text import Chunk, Operation, PlanPart, Remark, ToolPart, TurnText
from agentapi.model.conversation import Dialog, Level, Phase, PhaseState
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import (
    AgentText,
    DriverEvent,
    Exited,
    NoticeRaised,
    PhaseChanged,
    UserText,
)

if TYPE_CHECKING:
    from agentapi.agents.acp.client import AgentLink

log = logging.getLogger(__name__)

_UPDATES = {Chunk: "chunk", ToolPart: "tool", PlanPart: "plan"}
"""Names of the updates in the evidence."""
PERMISSION_TIMEOUT = 600.0
START_TIMEOUT = 60.0
GIVE_UP_GRACE = 2.0
"""Seconds that an unusable agent has to exit by itself."""
PERMISSION, PROMPT = "acp permission", "acp prompt"
UPDATE, SESSION = "acp update", "acp session"
"""Sources of evidence for the phase; see `AcpDriver.evidence`."""
STOP_KEYS = ("\x1b", "\x03")
STOP_REASONS = {
    "max_tokens": "the agent stopped: the model's limit of tokens is reached",
    "max_turn_requests": "the agent stopped: the limit of model requests in one turn is reached",
    "refusal": "the agent refused to go on; it forgets this message and its answer",
}
"""Stop reasons that the user is notified of (`end_turn` and `cancelled` are normal)."""


class AcpDriver:
    """One live agent on the Agent Client Protocol (`agentapi.agents.driver.Driver`)."""

    transport = "acp"

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str],
        env: Mapping[str, str],
        permission_timeout: float = PERMISSION_TIMEOUT,
        start_timeout: float = START_TIMEOUT,
        spare: Callable[[int], bool] = lambda pid: False,
    ) -> None:
        """Timeouts in seconds: until an unanswered permission request is refused, and until an
        agent without a session is stopped. `spare` returns whether a process is shared with
        others."""
        self._spare = spare
        self._argv = list(argv)
        self._cwd = Path(cwd).absolute()
        self._env = dict(env)
        self._start_timeout = start_timeout
        self._permission_timeout = permission_timeout
        self._state = PhaseState(Phase.STARTING, "acp: not started")
        self._sink: Sink = lambda event: None
        self._process: StdioProcess | None = None
        self._link: AgentLink | None = None
        self._life: asyncio.Task[None] | None = None
        self._turn: asyncio.Task[None] | None = None
        self._prompted = False
        self._stopping = False
        self._cancelling = False
        self._ended = False
        self._failure = ""
        self._ignored_keys = False
        self._text = TurnText()
        self._published = ""
        self._remarks: set[str] = set()
        self._flush_due: asyncio.Handle | None = None
        self._evidence = ProtocolLog(PERMISSION, PROMPT, UPDATE, SESSION)
        self._permissions = PermissionQueue(
            permission_timeout, changed=self._dialog_changed, expired=self._dialog_expired
        )
        self.session_id: str | None = None
        """The agent's session id, once the session is open."""
        self.agent_version = ""

    async def start(self, sink: Sink) -> None:
        """Start the agent; its session opens in the background. Raises `OSError`."""
        self._sink = sink
        self._process = await StdioProcess.spawn(
            self._argv, cwd=self._cwd, env=self._env, spare=self._spare
        )
        self._evidence.record(SESSION, Phase.STARTING, "asked for")
        self._enter(Phase.STARTING, "acp: opening a session")
        self._life = asyncio.create_task(self._live(self._process), name="acp: agent")

    async def send(self, text: str) -> None:
        """Send one prompt; return once it was written. Raises `SendError`."""
        link = self._ready_link()
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SendError("check", f"the message is not valid Unicode: {error}") from error
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turn = asyncio.create_task(self._run_turn(link, text, begun), name="acp: turn")
        await begun

    async def keys(self, data: str) -> None:
        """Interpret Esc or Ctrl-C (stop the turn and cancel its dialogs) and digits (pick a choice
        of the open dialog). All else is ignored, with one notice."""
        if data in STOP_KEYS:
            await self.interrupt()
        elif not self._permissions.press(data.strip()) and not self._ignored_keys:
            self._ignored_keys = True
            self._notice(
                Level.WARNING,
                "this agent has no terminal (it runs over ACP): keystrokes are ignored, except "
                "Esc, which stops its turn, and the digit of a choice while it asks a question",
            )

    async def interrupt(self) -> None:
        """Cancel the turn and its dialogs; a no-op between turns."""
        if self._turn is None or self._link is None:
            return
        self._cancelling = True
        self._permissions.cancel_all()
        try:
            await self._link.cancel()
        except OSError:
            log.debug("acp: the agent was gone before it could be interrupted")

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog. Raises `LookupError`."""
        self._permissions.answer(dialog_id, choice_id)

    def evidence(self) -> Sequence[SourceReport]:
        """Return the last report on permission requests, prompts, updates (of any kind) and the
        session; see `ProvidesEvidence`."""
        return self._evidence.reports()

    async def resize(self, columns: int, rows: int) -> None:
        """Do nothing: there is no terminal."""

    def screen(self) -> str:
        """Return an empty string: there is no terminal."""
        return ""

    def repaint(self) -> bytes:
        """Return no bytes: there is no terminal."""
        return b""

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Do nothing: there is no output to watch."""
        return lambda: None

    async def stop(self, grace: float) -> None:
        """Stop the agent and its process group; return once it is reaped."""
        if self._process is None or self._life is None:
            return
        self._stopping = True
        await self._process.end(grace)
        await asyncio.shield(self._life)

    # Life cycle: open a session, read until the output ends, report the exit.

    async def _live(self, process: StdioProcess) -> None:
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._open(process)
            await process.output_ended.wait()
        except TimeoutError:
            self._failure = self._start_timeout_message(process)
        except AgentRefused as error:
            self._failure = str(error)
        except OSError:
            log.debug("acp: the agent's pipe broke while its session was being opened")
        ending = await self._collect(process)
        await self._finish(process, ending)

    async def _open(self, process: StdioProcess) -> None:
        client = await asyncio.to_thread(importlib.import_module, "agentapi.agents.acp.client")
        self._link = link = client.AgentLink(
            process.read,
            process.write,
            unparsed=self._unparsed,
            update=self._update,
            request_permission=self._request_permission,
            env=self._env,
        )
        self.agent_version = await link.initialize()
        self.session_id = await link.new_session(self._cwd)
        self._evidence.record(SESSION, Phase.IDLE, "open")
        self._enter(Phase.IDLE, "acp: session open")

    async def _collect(self, process: StdioProcess) -> Ending:
        """Wait for the exit of an agent that can no longer be used, or force it."""
        if self._failure:
            self._notice(Level.ERROR, self._failure)
            return await process.end(GIVE_UP_GRACE)
        try:
            return await asyncio.wait_for(process.wait(), GIVE_UP_GRACE)
        except TimeoutError:
            self._failure = "the agent closed its output without ending: it was ended"
            self._notice(Level.ERROR, self._failure)
            return await process.end(GIVE_UP_GRACE)

    async def _finish(self, process: StdioProcess, ending: Ending) -> None:
        in_turn = self._turn is not None
        if self._link is not None:
            await self._link.close()
        if self._turn is not None:
            await self._turn
        self._ended = True
        self._permissions.cancel_all()
        tail = process.tail.text()
        how = f"the agent ended ({ending})"
        if not self._stopping and not self._failure:
            when = self._circumstances(in_turn)
            if when or ending.code != 0:
                last = tail.rsplit("\n", 1)[-1]
                self._notice(Level.ERROR, f"{how}{when}" + (f": {last}" if last else ""))
        self._state = PhaseState(Phase.EXITED, how)
        self._emit(self._exited(ending, tail))

    def _exited(self, ending: Ending, tail: str) -> Exited:
        if not self._failure:
            return Exited(ending.code, ending.signal, tail)
        # It has failed, whatever its exit status after our signal.
        number = ending.signal or signal.SIGINT
        return Exited(None, number, "\n".join(filter(None, [tail, self._failure])))

    def _circumstances(self, in_turn: bool) -> str:
        if self.session_id is None:
            return " before its session was open; does this command speak ACP?"
        return " in the middle of a turn" if in_turn else ""

    def _start_timeout_message(self, process: StdioProcess) -> str:
        last_line = process.tail.text().rsplit("\n", 1)[-1]
        return (
            f"the agent opened no session within {self._start_timeout:g} s: does "
            f"{self._argv[0]!r} speak the Agent Client Protocol on its standard streams "
            "(some programs need a flag for that, such as --acp)?"
            + (f" Its last words: {last_line}" if last_line else "")
        )

    # A turn.

    def _ready_link(self) -> AgentLink:
        if self._state.phase is Phase.EXITED:
            raise SendError("check", "the agent has ended")
        if self._state.dialog is not None:
            raise DialogOpen(question_text(self._state.dialog))
        if self._state.phase is not Phase.IDLE or self._turn is not None or self._link is None:
            raise Busy
        return self._link

    async def _run_turn(self, link: AgentLink, text: str, begun: asyncio.Future[None]) -> None:
        try:
            reason = await link.prompt(text, lambda: self._turn_begun(text, begun))
            if reason in STOP_REASONS:
                self._notice(Level.WARNING, STOP_REASONS[reason])
        except AgentRefused as error:
            reason = "the turn failed"
            self._notice(Level.ERROR, str(error))
        except OSError as error:
            # The turn stays open until the exit of the agent is reported.
            if not begun.done():
                begun.set_exception(SendError("begin", str(error)))
            return
        self._permissions.cancel_all()
        self._cancelling = False
        self._turn = None
        self._evidence.expire(UPDATE)
        self._evidence.record(PROMPT, Phase.IDLE, reason)
        self._enter(Phase.IDLE, f"acp: {reason}")

    def _turn_begun(self, text: str, begun: asyncio.Future[None]) -> None:
        self._flush()
        self._text, self._published = TurnText(), ""
        self._prompted = True
        self._emit(UserText(text))
        self._evidence.record(PROMPT, Phase.WORKING, "sent")
        self._enter(Phase.WORKING, "acp: prompt sent")
        if not begun.done():
            begun.set_result(None)

    # What the agent sends.

    def _update(self, operation: Operation) -> None:
        if isinstance(operation, Remark):
            self._remark(operation.text)
        elif self._prompted:
            self._apply(operation)
        elif isinstance(operation, Chunk):
            # Over ACP there is no start-up message.
            self._remark(operation.text.strip())

    def _apply(self, operation: Chunk | ToolPart | PlanPart) -> None:
        if self._turn is not None:
            self._evidence.record(UPDATE, Phase.WORKING, _UPDATES[type(operation)])
        self._text.apply(operation)
        if self._flush_due is None:
            # Once for all updates that arrived together, in this iteration of the loop.
            self._flush_due = asyncio.get_running_loop().call_soon(self._flush)

    def _remark(self, text: str) -> None:
        """Publish a remark of the adapter, once: it may be repeated in every turn."""
        if text and text not in self._remarks:
            self._remarks.add(text)
            self._notice(Level.WARNING, text)

    def _flush(self) -> None:
        if self._flush_due is None:
            return
        self._flush_due.cancel()
        self._flush_due = None
        text = self._text.text()
        if text != self._published:
            self._published = text
            self._sink(AgentText(text))

    def _unparsed(self, line: bytes) -> None:
        if self._process is not None:
            self._process.tail.feed(line + b"\n")
        log.info("acp: not a message, ignored: %.200r", line)

    async def _request_permission(self, tool_id: str, question: PermissionRequest) -> str | None:
        if self._cancelling or self._ended:
            return None
        return await self._permissions.request(question.with_title(self._text.title(tool_id)))

    def _dialog_changed(self, dialog: Dialog | None) -> None:
        if self._ended:
            return
        self._evidence.expire(PERMISSION)
        if dialog is not None:
            self._evidence.record(PERMISSION, Phase.BLOCKED, dialog.title)
            self._enter(Phase.BLOCKED, "acp: permission request", dialog)
        elif self._turn is not None:
            self._enter(Phase.WORKING, "acp: permission request answered")
        elif self._state.phase is Phase.BLOCKED:
            self._enter(Phase.IDLE, "acp: permission request answered")

    def _dialog_expired(self, dialog: Dialog) -> None:
        self._notice(
            Level.WARNING,
            f"nobody answered within {self._permission_timeout:g} s, so it was refused: "
            f"{dialog.title}",
        )

    # Events, in order: pending text is published before any other event.

    def _enter(self, phase: Phase, reason: str, dialog: Dialog | None = None) -> None:
        state = PhaseState(phase, reason, dialog)
        if state != self._state:
            self._state = state
            self._emit(PhaseChanged(state))

    def _notice(self, level: Level, message: str) -> None:
        self._emit(NoticeRaised(level, message))

    def _emit(self, event: DriverEvent) -> None:
        self._flush()
        self._sink(event)
