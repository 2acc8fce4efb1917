"""Permission requests of an ACP agent, one dialog at a time; only the user can approve them.

An agent may make several requests at once (parallel tool calls); they are queued. A dialog that
reaches its deadline is refused, with the agent's option for that.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from agentapi.model.conversation import Choice, Dialog, dialog_ids

REFUSALS = ("reject_once", "reject_always")
"""Kinds of options that refuse, mildest first."""


@dataclass(frozen=True, slots=True)
class PermissionOption:
    """One possible answer. Ids are chosen by the agent; `kind` is standardized: `allow_once`,
    `allow_always`, `reject_once`, `reject_always`."""

    id: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """One permission request."""

    kind: str
    """`command`, `patch` or `permission`, as in `Dialog.kind`."""
    title: str
    reason: str = ""
    command: str = ""
    diff: str = ""
    options: tuple[PermissionOption, ...] = ()

    def with_title(self, known: str) -> PermissionRequest:
        """Return the request with a title: its own, else the `known` one of the tool call, else the
        command."""
        title = self.title or known or self.command or "permission"
        return replace(self, title=title)


def choices(options: tuple[PermissionOption, ...]) -> tuple[Choice, ...]:
    """Convert options to choices with the same ids for every agent: the kind, with a suffix from
    the second on (`allow_once-2`). Their keys are the digits 1 to 9."""
    seen: Counter[str] = Counter()
    found = []
    for number, option in enumerate(options, 1):
        seen[option.kind] += 1
        count = seen[option.kind]
        name = option.kind if count == 1 else f"{option.kind}-{count}"
        found.append(Choice(name, option.label, str(number) if number <= 9 else ""))
    return tuple(found)


def refusal(options: tuple[PermissionOption, ...]) -> PermissionOption | None:
    """Return the mildest option that refuses, if any."""
    for kind in REFUSALS:
        for option in options:
            if option.kind == kind:
                return option
    return None


@dataclass(slots=True, eq=False)
class _Pending:
    dialog: Dialog
    options: tuple[PermissionOption, ...]
    answer: asyncio.Future[str | None]
    timer: asyncio.TimerHandle | None = None


class PermissionQueue:
    """Queue of pending requests; the first one is the open dialog."""

    def __init__(
        self,
        deadline: float,
        *,
        changed: Callable[[Dialog | None], None],
        expired: Callable[[Dialog], None],
    ) -> None:
        """`deadline`: seconds from the opening of a dialog. `changed` is called with the new open
        dialog, `expired` with an unanswered one, before that."""
        self._deadline = deadline
        self._changed = changed
        self._expired = expired
        self._queue: deque[_Pending] = deque()
        self._ids = dialog_ids()

    @property
    def dialog(self) -> Dialog | None:
        """The open dialog."""
        return self._queue[0].dialog if self._queue else None

    async def request(self, question: PermissionRequest) -> str | None:
        """Queue a request; return the id of the chosen option, or None if it was cancelled."""
        dialog = Dialog(
            id=next(self._ids),
            kind=question.kind,
            title=question.title,
            reason=question.reason,
            command=question.command,
            diff=question.diff,
            choices=choices(question.options),
        )
        entry = _Pending(dialog, question.options, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        if len(self._queue) == 1:
            self._show()
        return await entry.answer

    def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog. Raises `LookupError` for another dialog or an unknown choice."""
        dialog = self.dialog
        if dialog is None or dialog.id != dialog_id:
            raise LookupError(f"no dialog {dialog_id!r} is open")
        for number, choice in enumerate(dialog.choices):
            if choice.id == choice_id:
                return self._settle(self._queue[0].options[number].id)
        known = ", ".join(choice.id for choice in dialog.choices)
        raise LookupError(f"dialog {dialog_id!r} has no choice {choice_id!r}: it has {known}")

    def press(self, key: str) -> bool:
        """Pick the choice with this key; return whether there was one."""
        dialog = self.dialog
        for choice in dialog.choices if dialog else ():
            if key and choice.key == key:
                assert dialog is not None
                self.answer(dialog.id, choice.id)
                return True
        return False

    def cancel_all(self) -> None:
        """Cancel all pending requests, as the turn is being stopped."""
        if not self._queue:
            return
        for entry in self._queue:
            self._release(entry, None)
        self._queue.clear()
        self._changed(None)

    def _show(self) -> None:
        entry = self._queue[0] if self._queue else None
        if entry is not None:
            loop = asyncio.get_running_loop()
            entry.timer = loop.call_later(self._deadline, self._expire, entry)
        self._changed(entry.dialog if entry else None)

    def _expire(self, entry: _Pending) -> None:
        self._expired(entry.dialog)
        option = refusal(entry.options)
        self._settle(option.id if option else None)

    def _settle(self, option_id: str | None) -> None:
        self._release(self._queue.popleft(), option_id)
        self._show()

    @staticmethod
    def _release(entry: _Pending, option_id: str | None) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        if not entry.answer.done():
            entry.answer.set_result(option_id)
