"""Permission requests of an ACP agent, one dialog at a time; never allowed by anybody but the user.

An agent may ask several things at once (parallel tool calls): they wait in line. A dialog that is
on show longer than its deadline is refused with the option that the agent gave for that.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from agentapi.model.conversation import Choice, Dialog, dialog_ids

REFUSALS = ("reject_once", "reject_always")
"""The kinds of options that refuse, the mildest first."""


@dataclass(frozen=True, slots=True)
class PermissionOption:
    """One answer that the agent takes. Ids are the agent's own; only `kind` means the same for
    all: `allow_once`, `allow_always`, `reject_once`, `reject_always`."""

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

    def titled(self, known: str) -> PermissionRequest:
        """The same question with a title in any case: its own, else the tool call's `known` one,
        else what it is about."""
        title = self.title or known or self.command or "permission"
        return replace(self, title=title)


def choices(options: tuple[PermissionOption, ...]) -> tuple[Choice, ...]:
    """The options as choices that are called alike for every agent: by kind, a second one of its
    kind `allow_once-2`, … Their keys are the digits from 1 on, as far as there are digits."""
    seen: Counter[str] = Counter()
    found = []
    for number, option in enumerate(options, 1):
        seen[option.kind] += 1
        count = seen[option.kind]
        name = option.kind if count == 1 else f"{option.kind}-{count}"
        found.append(Choice(name, option.label, str(number) if number <= 9 else ""))
    return tuple(found)


def refusal(options: tuple[PermissionOption, ...]) -> PermissionOption | None:
    """The option that refuses most mildly; None when the agent offers none."""
    for kind in REFUSALS:
        for option in options:
            if option.kind == kind:
                return option
    return None


@dataclass(slots=True, eq=False)
class _Entry:
    dialog: Dialog
    options: tuple[PermissionOption, ...]
    answer: asyncio.Future[str | None]
    timer: asyncio.TimerHandle | None = None


class PermissionDesk:
    """The line of open questions; the first one is the dialog on show."""

    def __init__(
        self,
        deadline: float,
        *,
        changed: Callable[[Dialog | None], None],
        expired: Callable[[Dialog], None],
    ) -> None:
        """`deadline` in seconds from the moment that a dialog shows; `changed` gets the dialog on
        show whenever it is another one, `expired` one that nobody answered, before that."""
        self._deadline = deadline
        self._changed = changed
        self._expired = expired
        self._line: deque[_Entry] = deque()
        self._ids = dialog_ids()

    @property
    def dialog(self) -> Dialog | None:
        """The dialog on show."""
        return self._line[0].dialog if self._line else None

    async def ask(self, question: PermissionRequest) -> str | None:
        """The id of the option chosen for `question`; None when it was called off."""
        dialog = Dialog(
            id=next(self._ids),
            kind=question.kind,
            title=question.title,
            reason=question.reason,
            command=question.command,
            diff=question.diff,
            choices=choices(question.options),
        )
        entry = _Entry(dialog, question.options, asyncio.get_running_loop().create_future())
        self._line.append(entry)
        if len(self._line) == 1:
            self._show()
        return await entry.answer

    def answer(self, dialog_id: str, choice_id: str) -> None:
        """Choose. Raises `LookupError` when that dialog is not on show or has no such choice."""
        dialog = self.dialog
        if dialog is None or dialog.id != dialog_id:
            raise LookupError(f"no dialog {dialog_id!r} is open")
        for number, choice in enumerate(dialog.choices):
            if choice.id == choice_id:
                return self._settle(self._line[0].options[number].id)
        known = ", ".join(choice.id for choice in dialog.choices)
        raise LookupError(f"dialog {dialog_id!r} has no choice {choice_id!r}: it has {known}")

    def press(self, key: str) -> bool:
        """Choose by a choice's key; whether there was one to choose."""
        dialog = self.dialog
        for choice in dialog.choices if dialog else ():
            if key and choice.key == key:
                assert dialog is not None
                self.answer(dialog.id, choice.id)
                return True
        return False

    def call_off(self) -> None:
        """Answer everything in line with "cancelled": the turn is being stopped."""
        if not self._line:
            return
        for entry in self._line:
            self._release(entry, None)
        self._line.clear()
        self._changed(None)

    def _show(self) -> None:
        entry = self._line[0] if self._line else None
        if entry is not None:
            loop = asyncio.get_running_loop()
            entry.timer = loop.call_later(self._deadline, self._expire, entry)
        self._changed(entry.dialog if entry else None)

    def _expire(self, entry: _Entry) -> None:
        self._expired(entry.dialog)
        option = refusal(entry.options)
        self._settle(option.id if option else None)

    def _settle(self, option_id: str | None) -> None:
        self._release(self._line.popleft(), option_id)
        self._show()

    @staticmethod
    def _release(entry: _Entry, option_id: str | None) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        if not entry.answer.done():
            entry.answer.set_result(option_id)
