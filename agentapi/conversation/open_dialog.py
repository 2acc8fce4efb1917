"""The open question, as displayed and as reported by the agent, under one id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agentapi.conversation.question import same_question
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Dialog


class OpenDialog:
    """Holds one question at a time. `ids` supplies the ids of displayed questions."""

    def __init__(self, ids: Iterator[str]) -> None:
        self._ids = ids
        self.shown: Dialog | None = None
        """The dialog on the screen."""
        self._reported: Dialog | None = None
        self._decided = False
        """Whether the displayed question is already answered and will disappear."""

    def show(self, dialog: Dialog | None, same: bool = False) -> None:
        """Set the displayed dialog. It keeps its id while it asks the same, or if `same` is set."""
        if dialog is None:
            self.shown, self._decided = None, False
        elif self.shown is not None and same:
            self.shown = replace(dialog, id=self.shown.id)
        elif self.shown is None or not self.shown.is_same_question(dialog):
            self.shown = replace(dialog, id=next(self._ids))

    def report(self, dialog: Dialog | None) -> None:
        """Set the question that the agent reported, which is more precise than the displayed one.
        None once it is answered."""
        self._decided = dialog is None and (self._decided or self._reported is not None)
        self._reported = dialog

    @property
    def is_reported(self) -> bool:
        """Whether the agent itself reported the open question."""
        return self._reported is not None

    @property
    def open(self) -> Dialog | None:
        """The question waiting for the user."""
        shown = None if self._decided else self.shown
        if self._reported and shown:
            return _with_keys(self._reported, shown)
        return self._reported or shown

    def matches_screen(self, shown: Dialog | None) -> bool:
        """Return whether the displayed question does not differ from the open one."""
        other = self._reported and shown and not same_question(self._reported, shown)
        return not (other or self._decided)


def _with_keys(reported: Dialog, shown: Dialog) -> Dialog:
    """Add the keys of the choices, if the screen shows the same question."""
    if squeeze(reported.title) != squeeze(shown.title):
        return reported
    keys = {squeeze(choice.label): choice.key for choice in shown.choices}
    choices = (
        replace(choice, key=keys.get(squeeze(choice.label), "")) for choice in reported.choices
    )
    return replace(reported, choices=tuple(choices))
