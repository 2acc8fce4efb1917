"""Connect to the app-server of Codex's TUI as a second client (the link).

    start: app-server up -> connected -> (TUI started by the driver) -> thread known -> idle
    turn:  turn/start or a person at the TUI -> active -> items, deltas, usage -> idle

`thread.py` finds the TUI's thread and subscribes to its items; `partial_items.py` collects items
that are still streaming.

Protocol messages reach the driver as small events, in order. Unknown messages are kept (`unknown`)
and logged once; a request is answered only by a user's decision. When the connection is lost, or
the server does not respond, `LinkLost` is emitted once, and every call fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentapi import __version__
from agentapi.agents.codex.link.approval import KNOWN, parse_request
from agentapi.agents.codex.link.command import CodexCommand
from agentapi.agents.codex.link.events import (
    IGNORED,
    DialogChanged,
    ErrorReported,
    LinkEvent,
    LinkLost,
    PhaseReported,
)
from agentapi.agents.codex.link.items import DELTA_ITEMS, plan_update, thread_item
from agentapi.agents.codex.link.partial_items import PartialItems
from agentapi.agents.codex.link.question import LinkQuestion, OpenQuestions
from agentapi.agents.codex.link.rpc import RequestId, RpcConnection, RpcError, RpcLost
from agentapi.agents.codex.link.server import AppServer
from agentapi.agents.codex.link.thread import FollowedThread
from agentapi.agents.codex.link.usage import LinkUsage
from agentapi.agents.codex.link.watchdog import Watchdog
from agentapi.agents.codex.rollout.parse import error_text
from agentapi.model.conversation import Phase
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged, UsageChanged

CONNECT_LIMIT = 5.0
"""Seconds from the socket's appearance to the server's hello."""
_MAX_UNKNOWN = 100
_OPENED_AGAIN = "thread/goal/cleared"
"""The notification of Codex 0.142 to 0.169 when the TUI reopens a loaded thread."""

log = logging.getLogger(__name__)

Json = Mapping[str, Any]


class CodexLink:
    """One app-server and our connection to it. Call `start`, later `end`."""

    def __init__(self, sink: Callable[[LinkEvent], None]) -> None:
        self._sink = sink
        self._server: AppServer | None = None
        self._rpc: RpcConnection | None = None
        self.version: str | None = None
        """Codex's version, as reported by the app-server."""
        self.unknown: dict[str, Json] = {}
        """The last message of each unknown method."""
        self._turn: str | None = None
        self._active = False
        self._thread = FollowedThread(self._call, self._follow, self._on_subscribed)
        self._partial = PartialItems(sink)
        self._questions = OpenQuestions()
        self._usage = LinkUsage()
        self._plans = 0
        self._watchdog = Watchdog(self._call, lambda: self._active and not self._closed)
        self._closed = False

    # -- start and end -------------------------------------------------------------------------

    async def start(
        self, command: CodexCommand, *, cwd: Path | None, env: Mapping[str, str]
    ) -> Path:
        """Start the app-server and connect; return the socket for the TUI. Raises `OSError`."""
        self._server = await AppServer.start(command.server, cwd=cwd, env=env)
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                await self._connect(self._server.socket)
        except TimeoutError:
            await self.end()
            raise RpcLost("the app-server does not answer") from None
        except RpcError as error:
            await self.end()
            raise RpcLost(f"the app-server refuses: {error}") from error
        except BaseException:
            await self.end()
            raise
        self._server.on_exit(lambda how: self._fail(f"the app-server ended: {how}"))
        return self._server.socket

    async def end(self) -> None:
        """Close the connection and end the app-server. Idempotent."""
        self._closed = True
        self._watchdog.stop()
        self._partial.stop()
        self._thread.stop()
        if self._rpc is not None:
            await self._rpc.close()
        if self._server is not None:
            await self._server.end()

    async def _connect(self, socket: Path) -> None:
        self._rpc = await _connected(
            socket,
            on_notification=self._on_notification,
            on_request=self._on_request,
            on_lost=self._fail,
        )
        hello = await self._rpc.call(
            "initialize",
            {
                "clientInfo": {"name": "agentapi", "version": __version__},
                "capabilities": {"experimentalApi": True},
            },
        )
        agent = str(hello.get("userAgent", "")) if isinstance(hello, dict) else ""
        self.version = agent.partition("/")[2].partition(" ")[0] or None
        await self._rpc.notify("initialized")

    @property
    def thread(self) -> str | None:
        """The followed thread's id, which is the session's."""
        return self._thread.id

    @property
    def resumable(self) -> bool:
        """Whether the session has a turn, without which it cannot be resumed."""
        return self._thread.resumable

    @property
    def pid(self) -> int | None:
        """The app-server's process."""
        return self._server.pid if self._server is not None else None

    # -- calls ---------------------------------------------------------------------------------

    async def send(self, text: str) -> str:
        """Request a turn with exactly this text; return its id once Codex has accepted it. Events
        report when it starts.

        Raises `RpcError` when Codex refuses it, `RpcLost` when the server does not respond."""
        thread = self._require_thread()
        content = [{"type": "text", "text": text}]
        self._set_turn(await self._call("turn/start", {"threadId": thread, "input": content}))
        self._thread.subscribe()
        return self._turn or ""

    async def interrupt(self) -> bool:
        """Interrupt the turn; return False when none is known."""
        if self._turn is None or self._rpc is None:
            return False
        try:
            await self._call("turn/interrupt", {"threadId": self.thread, "turnId": self._turn})
        except RpcError as error:
            log.info("codex link: %s", error)  # it ended in the meantime
        return True

    def find_question(self, dialog_id: str) -> LinkQuestion | None:
        """Find the open question with this id."""
        return self._questions.find(dialog_id)

    async def answer(self, question: LinkQuestion, choice: str) -> None:
        """Answer a question; a form moves on to its next one, and is sent after its last.

        Raises `LookupError` for an unknown choice, `RpcLost`."""
        outcome = question.choose(choice)
        if self._rpc is None or self._questions.find(question.dialog.id) is None:
            raise LookupError(f"no dialog {question.dialog.id!r} is open")
        if isinstance(outcome, LinkQuestion):
            self._questions.add(outcome)
            self._emit_question()
        else:
            await self._rpc.respond(question.request, outcome)

    def _require_thread(self) -> str:
        """Return the thread to send to. Raises `RpcLost`."""
        if self.thread is None:
            raise RpcLost("Codex has opened no session yet")
        return self.thread

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        """Call the server; one that does not answer is lost."""
        if self._rpc is None or self._closed:
            raise RpcLost("the link is lost")
        try:
            return await self._rpc.call(method, params)
        except RpcLost as error:
            self._fail(str(error))
            raise

    # -- messages of the server ----------------------------------------------------------------

    def _on_notification(self, method: str, params: Json) -> None:
        self._watchdog.reset()
        thread = params.get("threadId", self.thread)
        if method == "thread/started":
            if not self._thread.opened(params.get("thread")):
                self._note_unknown(method, params)
        elif method == "thread/status/changed":
            if not self._thread.identify(thread):
                self._status_of(thread, params.get("status"))
        elif method == _OPENED_AGAIN:
            self._thread.reopened(thread)
        elif method in IGNORED or thread != self.thread:
            return
        elif method in ("item/started", "item/completed"):
            self._item(params, completed=method == "item/completed")
        elif method in DELTA_ITEMS:
            if not self._partial.apply_delta(method, params):
                self._note_unknown(method, params)
        elif method in ("turn/started", "turn/completed"):
            self._turn_event(method, params)
        elif method == "serverRequest/resolved":
            if self._questions.resolve(params.get("requestId")):
                self._emit_question()
        elif method == "turn/plan/updated":
            self._plans += 1
            item = plan_update(params)
            self._emit(ItemChanged(str(params.get("turnId")), f"plan {self._plans}", item, False))
        elif not self._usage_or_error(method, params):
            self._note_unknown(method, params)

    def _usage_or_error(self, method: str, params: Json) -> bool:
        """Handle usage and errors; return False for any other method."""
        if method == "thread/tokenUsage/updated":
            self._usage.tokens(params)
        elif method == "account/rateLimits/updated":
            self._usage.limits(params)
        elif method == "error":
            error = params.get("error")
            text = error.get("message") if isinstance(error, dict) else None
            self._emit(
                ErrorReported(str(text or "unknown"), retries=params.get("willRetry") is True)
            )
            return True
        else:
            return False
        if (usage := self._usage.snapshot()) is not None:
            self._emit(UsageChanged(usage))
        return True

    def _on_request(self, number: RequestId, method: str, params: Json) -> None:
        self._watchdog.reset()
        if params.get("threadId") != self.thread:
            return
        item = self._partial.description(str(params.get("itemId")))
        question = parse_request(number, method, params, item)
        if question is None:  # left to the terminal, or not a question
            if method not in KNOWN:
                self._note_unknown(method, params)
            return
        self._questions.add(question)
        self._emit_question()

    def _emit_question(self) -> None:
        question = self._questions.current
        self._emit(DialogChanged(question.dialog if question is not None else None))

    def _follow(self, thread: Json) -> None:
        """Report the thread that the TUI works on now."""
        self._turn = None
        self._note_model(thread)
        path = thread.get("path")
        self._emit(SessionKnown(thread["id"], Path(path) if isinstance(path, str) else None))
        self._thread.subscribe(once=True)
        self._status(thread.get("status"))

    def _status_of(self, thread: object, status: object) -> None:
        if isinstance(status, dict) and status.get("type") == "active":
            self._thread.reopened(thread)
        if thread == self.thread:
            self._status(status)

    def _status(self, status: object) -> None:
        kind = status.get("type") if isinstance(status, dict) else None
        if not isinstance(status, dict) or kind not in ("active", "idle", "systemError"):
            return
        self._active = kind == "active"
        if not self._active:
            self._turn = None
            self._clear_questions()
            self._watchdog.pause()
            detail = "idle" if kind == "idle" else "system error"
            self._emit(PhaseReported(Phase.IDLE, detail))
            return
        flags = [str(flag) for flag in status.get("activeFlags") or ()]
        if flags:
            self._emit(PhaseReported(Phase.BLOCKED, ", ".join(flags)))
        else:
            self._emit(PhaseReported(Phase.WORKING, "active"))
        self._thread.turn_started()
        self._thread.subscribe()

    def _turn_event(self, method: str, params: Json) -> None:
        turn = params.get("turn")
        if not isinstance(turn, dict):
            self._note_unknown(method, params)
            return
        number = str(turn.get("id"))
        if method == "turn/started":
            self._set_turn(params)
            self._thread.turn_started()
            self._emit(TurnChanged(number, "started"))
            return
        self._partial.flush()
        self._partial.clear()
        error, duration = turn.get("error"), turn.get("durationMs")
        reason = error_text(error) if isinstance(error, dict) else ""
        duration = duration if isinstance(duration, int) else None
        self._emit(TurnChanged(number, str(turn.get("status")), reason, duration))

    def _set_turn(self, params: object) -> None:
        """Store the id of the running turn."""
        turn = params.get("turn") if isinstance(params, dict) else None
        if isinstance(turn, dict) and isinstance(turn.get("id"), str):
            self._turn = turn["id"]

    # -- items ---------------------------------------------------------------------------------

    def _item(self, params: Json, completed: bool) -> None:
        raw, turn = params.get("item"), str(params.get("turnId"))
        if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
            self._note_unknown("item", params)
            return
        if not completed and self._active:
            self._turn = turn
        number, item = raw["id"], thread_item(raw)
        if completed:
            self._partial.complete(number)
        else:
            self._partial.start(turn, raw, item)
        self._emit(ItemChanged(turn, number, item, partial=not completed))

    def _on_subscribed(self, answer: object, new: bool) -> None:
        """Apply the thread's description, and the items missed of its first turn; incomplete items
        follow as notifications."""
        self._note_model(answer)
        thread = answer.get("thread") if isinstance(answer, dict) else None
        turns = thread.get("turns") if isinstance(thread, dict) and new else None
        for turn in turns or ():
            ended = turn.get("status") != "inProgress"
            for raw in turn.get("items") or ():
                if ended or raw.get("type") == "userMessage":
                    self._item({"item": raw, "turnId": turn.get("id")}, completed=True)

    def _note_model(self, answer: object) -> None:
        model = answer.get("model") if isinstance(answer, dict) else None
        if isinstance(model, str):
            self._usage.model = model

    # -- loss ----------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        if self._closed:
            return
        self._closed = True
        self._watchdog.pause()
        self._partial.flush()
        self._clear_questions()
        self._sink(LinkLost(reason))

    def _clear_questions(self) -> None:
        if self._questions.clear():
            self._emit(DialogChanged(None))

    def _note_unknown(self, method: str, params: Json) -> None:
        if method not in self.unknown:
            log.info("codex link: not understood: %s %.300s", method, params)
            if len(self.unknown) >= _MAX_UNKNOWN:
                return
        self.unknown[method] = params

    def _emit(self, event: LinkEvent) -> None:
        self._partial.flush()
        self._sink(event)


async def _connected(socket: Path, **callbacks: Any) -> RpcConnection:
    """Connect; retry while the socket exists but nothing listens on it yet."""
    while True:
        try:
            return await RpcConnection.connect(socket, **callbacks)
        except ConnectionRefusedError:
            await asyncio.sleep(0.005)
