"""The question that is open: what the screen shows of it, what the agent itself says, and one id
for both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agentapi.conversation.question import same_question
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Dialog


class OpenDialog:
    """One question at a time. `ids` are those of the questions that the screen shows."""

    def __init__(self, ids: Iterator[str]) -> None:
        self._ids = ids
        self.shown: Dialog | None = None
        """The dialog on the screen."""
        self._asked: Dialog | None = None
        self._decided = False
        """Whether the question on the screen is decided: it will go."""

    def show(self, dialog: Dialog | None, same: bool = False) -> None:
        """The screen shows this dialog now. The same dialog keeps its id from frame to frame; with
        `same` it is the same one whatever it shows."""
        if dialog is None:
            self.shown, self._decided = None, False
        elif self.shown is not None and same:
            self.shown = replace(dialog, id=self.shown.id)
        elif self.shown is None or not self.shown.is_same_question(dialog):
            self.shown = replace(dialog, id=next(self._ids))

    def ask(self, dialog: Dialog | None) -> None:
        """The agent's own word on the question that it asks: more exact than what the screen shows
        of it. None when it is decided."""
        self._decided = dialog is None and (self._decided or self._asked is not None)
        self._asked = dialog

    @property
    def asks(self) -> bool:
        """Whether the open question is the agent's own word, and not the screen's alone."""
        return self._asked is not None

    @property
    def open(self) -> Dialog | None:
        """The question that waits for the user."""
        shown = None if self._decided else self.shown
        if self._asked and shown:
            return _keyed(self._asked, shown)
        return self._asked or shown

    def is_painted_by(self, shown: Dialog | None) -> bool:
        """Whether what the screen shows is no other question than the open one."""
        other = self._asked and shown and not same_question(self._asked, shown)
        return not (other or self._decided)


def _keyed(asked: Dialog, shown: Dialog) -> Dialog:
    """A question with the keys of its choices, where the screen shows the same one."""
    if squeeze(asked.title) != squeeze(shown.title):
        return asked
    keys = {squeeze(choice.label): choice.key for choice in shown.choices}
    choices = (replace(one, key=keys.get(squeeze(one.label), "")) for one in asked.choices)
    return replace(asked, choices=tuple(choices))
