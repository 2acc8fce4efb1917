"""The link: a second client of the app-server that Codex's own TUI works on.

    start: app-server up -> connected -> (TUI started by the driver) -> thread known -> idle
    turn:  turn/start or a person at the TUI -> active -> items, deltas, usage -> idle

Which thread that is, and the subscription to its items: `thread.py` beside this module; the items
that grow: `growth.py`.

What the protocol says reaches the driver as small events, in order. What is not understood is kept
(`strange`) and logged once; a request that nobody decided is never answered. When the connection
is lost, or nobody answers on it, `Lost` is told once, and every call fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentapi import __version__
from agentapi.agents.codex.link.approval import KNOWN, question
from agentapi.agents.codex.link.command import CodexCommand
from agentapi.agents.codex.link.events import QUIET, Asked, Failure, LinkEvent, Lost, Standing
from agentapi.agents.codex.link.growth import Growth
from agentapi.agents.codex.link.items import GROWING, plan_update, thread_item
from agentapi.agents.codex.link.question import LinkQuestion, OpenQuestions
from agentapi.agents.codex.link.rpc import RequestId, RpcConnection, RpcError, RpcLost
from agentapi.agents.codex.link.server import AppServer
from agentapi.agents.codex.link.silence import Silence
from agentapi.agents.codex.link.thread import FollowedThread
from agentapi.agents.codex.link.usage import LinkUsage
from agentapi.agents.codex.rollout.parse import error_text
from agentapi.model.conversation import Phase
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged, UsageChanged

CONNECT_LIMIT = 5.0
"""Seconds from the socket's appearance to the server's hello."""
_STRANGE_KEPT = 100
_OPENED_AGAIN = "thread/goal/cleared"
"""What Codex (0.142 to 0.169) tells of a thread that is loaded when the TUI opens it again."""

log = logging.getLogger(__name__)

Json = Mapping[str, Any]


class CodexLink:
    """One app-server and our connection to it. Call `start`, later `end`."""

    def __init__(self, sink: Callable[[LinkEvent], None]) -> None:
        self._sink = sink
        self._server: AppServer | None = None
        self._rpc: RpcConnection | None = None
        self.version: str | None = None
        """Codex's version, as the app-server tells it."""
        self.strange: dict[str, Json] = {}
        """What was not understood: the last message of each method."""
        self._turn: str | None = None
        self._active = False
        self._thread = FollowedThread(self._ask, self._follow, self._subscribed)
        self._growth = Growth(sink)
        self._questions = OpenQuestions()
        self._usage = LinkUsage()
        self._plans = 0
        self._silence = Silence(self._ask, lambda: self._active and not self._over)
        self._over = False

    # -- life ----------------------------------------------------------------------------------

    async def start(
        self, command: CodexCommand, *, cwd: Path | None, env: Mapping[str, str]
    ) -> Path:
        """Start the app-server and connect; the socket for the TUI. Raises `OSError`."""
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
        self._server.on_exit(lambda how: self._lose(f"the app-server ended: {how}"))
        return self._server.socket

    async def end(self) -> None:
        """Close the connection and end the app-server. Idempotent."""
        self._over = True
        self._silence.stop()
        self._growth.stop()
        self._thread.stop()
        if self._rpc is not None:
            await self._rpc.close()
        if self._server is not None:
            await self._server.end()

    async def _connect(self, socket: Path) -> None:
        self._rpc = await _connected(
            socket,
            on_notification=self._notified,
            on_request=self._requested,
            on_lost=self._lose,
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
        """Whether the session has a turn: only then it can be resumed."""
        return self._thread.resumable

    @property
    def pid(self) -> int | None:
        """The app-server's process."""
        return self._server.pid if self._server is not None else None

    # -- calls ---------------------------------------------------------------------------------

    async def send(self, text: str) -> str:
        """Ask for a turn with this text, to the letter; its id, once Codex has taken it. That the
        turn began is told by events.

        Raises `RpcError` when Codex refuses it, `RpcLost` when nobody answers."""
        thread = self._ready()
        words = [{"type": "text", "text": text}]
        self._turn_is(await self._ask("turn/start", {"threadId": thread, "input": words}))
        self._thread.subscribe()
        return self._turn or ""

    async def interrupt(self) -> bool:
        """Ask for the end of the turn; False when there is none that we know of."""
        if self._turn is None or self._rpc is None:
            return False
        try:
            await self._ask("turn/interrupt", {"threadId": self.thread, "turnId": self._turn})
        except RpcError as error:
            log.info("codex link: %s", error)  # it ended in the meantime
        return True

    def asks(self, dialog_id: str) -> LinkQuestion | None:
        """The open question with this id."""
        return self._questions.find(dialog_id)

    async def answer(self, asked: LinkQuestion, choice: str) -> None:
        """Answer a question; a form goes on with its next one, and is answered with its last.

        Raises `LookupError` for a choice that it does not have, `RpcLost`."""
        outcome = asked.choose(choice)
        if self._rpc is None or self._questions.find(asked.dialog.id) is None:
            raise LookupError(f"no dialog {asked.dialog.id!r} is open")
        if isinstance(outcome, LinkQuestion):
            self._questions.put(outcome)
            self._tell_question()
        else:
            await self._rpc.respond(asked.request, outcome)

    def _ready(self) -> str:
        """The thread to send to."""
        if self.thread is None:
            raise RpcLost("Codex has opened no session yet")
        return self.thread

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        """Call; a server that does not answer is lost."""
        if self._rpc is None or self._over:
            raise RpcLost("the link is lost")
        try:
            return await self._rpc.call(method, params)
        except RpcLost as error:
            self._lose(str(error))
            raise

    # -- what the server says ------------------------------------------------------------------

    def _notified(self, method: str, params: Json) -> None:
        self._silence.broken()
        thread = params.get("threadId", self.thread)
        if method == "thread/started":
            if not self._thread.opened(params.get("thread")):
                self._note_strange(method, params)
        elif method == "thread/status/changed":
            if not self._thread.look_at(thread):
                self._status_of(thread, params.get("status"))
        elif method == _OPENED_AGAIN:
            self._thread.used(thread)
        elif method in QUIET or thread != self.thread:
            return
        elif method in ("item/started", "item/completed"):
            self._item(params, completed=method == "item/completed")
        elif method in GROWING:
            if not self._growth.delta(method, params):
                self._note_strange(method, params)
        elif method in ("turn/started", "turn/completed"):
            self._turn_event(method, params)
        elif method == "serverRequest/resolved":
            if self._questions.decided(params.get("requestId")):
                self._tell_question()
        elif method == "turn/plan/updated":
            self._plans += 1
            item = plan_update(params)
            self._emit(ItemChanged(str(params.get("turnId")), f"plan {self._plans}", item, False))
        elif not self._counted(method, params):
            self._note_strange(method, params)

    def _counted(self, method: str, params: Json) -> bool:
        """Usage and errors."""
        if method == "thread/tokenUsage/updated":
            self._usage.tokens(params)
        elif method == "account/rateLimits/updated":
            self._usage.limits(params)
        elif method == "error":
            error = params.get("error")
            text = error.get("message") if isinstance(error, dict) else None
            self._emit(Failure(str(text or "unknown"), retries=params.get("willRetry") is True))
            return True
        else:
            return False
        if (usage := self._usage.snapshot()) is not None:
            self._emit(UsageChanged(usage))
        return True

    def _requested(self, number: RequestId, method: str, params: Json) -> None:
        self._silence.broken()
        if params.get("threadId") != self.thread:
            return
        raw = self._growth.raw(str(params.get("itemId")))
        asked = question(number, method, params, raw)
        if asked is None:  # the screen shows it, or it is none
            if method not in KNOWN:
                self._note_strange(method, params)
            return
        self._questions.put(asked)
        self._tell_question()

    def _tell_question(self) -> None:
        shown = self._questions.shown
        self._emit(Asked(shown.dialog if shown is not None else None))

    def _follow(self, thread: Json) -> None:
        """The TUI works on this thread now."""
        self._turn = None
        self._note_model(thread)
        path = thread.get("path")
        self._emit(SessionKnown(thread["id"], Path(path) if isinstance(path, str) else None))
        self._thread.subscribe(once=True)
        self._status(thread.get("status"))

    def _status_of(self, thread: object, status: object) -> None:
        if isinstance(status, dict) and status.get("type") == "active":
            self._thread.used(thread)
        if thread == self.thread:
            self._status(status)

    def _status(self, status: object) -> None:
        kind = status.get("type") if isinstance(status, dict) else None
        if not isinstance(status, dict) or kind not in ("active", "idle", "systemError"):
            return
        self._active = kind == "active"
        if not self._active:
            self._turn = None
            self._drop_questions()
            self._silence.rest()
            detail = "idle" if kind == "idle" else "system error"
            self._emit(Standing(Phase.IDLE, detail))
            return
        flags = [str(flag) for flag in status.get("activeFlags") or ()]
        if flags:
            self._emit(Standing(Phase.BLOCKED, ", ".join(flags)))
        else:
            self._emit(Standing(Phase.WORKING, "active"))
        self._thread.begin()
        self._thread.subscribe()

    def _turn_event(self, method: str, params: Json) -> None:
        turn = params.get("turn")
        if not isinstance(turn, dict):
            self._note_strange(method, params)
            return
        number = str(turn.get("id"))
        if method == "turn/started":
            self._turn_is(params)
            self._thread.begin()
            self._emit(TurnChanged(number, "started"))
            return
        self._growth.flush()
        self._growth.clear()
        error, duration = turn.get("error"), turn.get("durationMs")
        reason = error_text(error) if isinstance(error, dict) else ""
        duration = duration if isinstance(duration, int) else None
        self._emit(TurnChanged(number, str(turn.get("status")), reason, duration))

    def _turn_is(self, params: object) -> None:
        """Note the id of the turn that runs."""
        turn = params.get("turn") if isinstance(params, dict) else None
        if isinstance(turn, dict) and isinstance(turn.get("id"), str):
            self._turn = turn["id"]

    # -- items ---------------------------------------------------------------------------------

    def _item(self, params: Json, completed: bool) -> None:
        raw, turn = params.get("item"), str(params.get("turnId"))
        if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
            self._note_strange("item", params)
            return
        if not completed and self._active:
            self._turn = turn
        number, item = raw["id"], thread_item(raw)
        if completed:
            self._growth.end(number)
        else:
            self._growth.begin(turn, raw, item)
        self._emit(ItemChanged(turn, number, item, partial=not completed))

    def _subscribed(self, answer: object, new: bool) -> None:
        """Take what the answer tells of the thread, and what was missed of its first turn: what
        is not whole yet comes by itself."""
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

    def _lose(self, why: str) -> None:
        if self._over:
            return
        self._over = True
        self._silence.rest()
        self._growth.flush()
        self._drop_questions()
        self._sink(Lost(why))

    def _drop_questions(self) -> None:
        if self._questions.drop():
            self._emit(Asked(None))

    def _note_strange(self, method: str, params: Json) -> None:
        if method not in self.strange:
            log.info("codex link: not understood: %s %.300s", method, params)
            if len(self.strange) >= _STRANGE_KEPT:
                return
        self.strange[method] = params

    def _emit(self, event: LinkEvent) -> None:
        self._growth.flush()
        self._sink(event)


async def _connected(socket: Path, **callbacks: Any) -> RpcConnection:
    """A moment may pass between the socket's appearance and its first listener."""
    while True:
        try:
            return await RpcConnection.connect(socket, **callbacks)
        except ConnectionRefusedError:
            await asyncio.sleep(0.005)
