"""Questions of the app-server to the user: a dialog, and the outcome of each choice. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentapi.agents.codex.link.rpc import RequestId
from agentapi.model.conversation import Choice, Dialog, dialog_ids

Result = dict[str, Any]
"""The result to respond to a request with."""


@dataclass(frozen=True, slots=True)
class LinkQuestion:
    """One request, or one step of a form."""

    request: RequestId
    dialog: Dialog
    """Its id is set when it is added to the open questions."""
    outcomes: Mapping[str, Result | Callable[[], LinkQuestion]]
    """By choice id: the result, or a function that returns the form's next step."""

    def choose(self, choice: str) -> Result | LinkQuestion:
        """Return the outcome of a choice. Raises `LookupError` that lists the known choices."""
        outcome = self.outcomes.get(choice)
        if outcome is None:
            raise LookupError(self.dialog.unknown_choice(choice))
        return outcome() if callable(outcome) else outcome


def make_question(
    request: RequestId,
    choices: Sequence[tuple[str | Choice, Result | Callable[[], LinkQuestion]]],
    **about: str,
) -> LinkQuestion:
    """Make a question from choices and their outcomes. Plain labels are numbered as on the
    screen; a `Choice` keeps its id."""
    named = [
        choice if isinstance(choice, Choice) else Choice(str(number), choice, "")
        for number, (choice, _) in enumerate(choices, 1)
    ]
    dialog = Dialog(id="", choices=tuple(named), **about)
    outcomes = {choice.id: outcome for choice, (_, outcome) in zip(named, choices, strict=True)}
    return LinkQuestion(request, dialog, outcomes)


class OpenQuestions:
    """The questions that wait for an answer; there may be several at once.

    The current one is the same as on Codex's screen: the first, and after it always the newest.
    `ids` are for the dialogs. Request numbers would not do: every app-server counts from 0, so an
    answer meant for the last server's question could approve this one's."""

    def __init__(self, ids: Iterator[str] | None = None) -> None:
        self._ids = ids or dialog_ids()
        self._open: dict[RequestId, LinkQuestion] = {}
        self._current: RequestId | None = None

    @property
    def current(self) -> LinkQuestion | None:
        """Return the question to answer next."""
        return self._open.get(self._current) if self._current is not None else None

    def find(self, dialog_id: str) -> LinkQuestion | None:
        """Find the open question with this id."""
        return next((q for q in self._open.values() if q.dialog.id == dialog_id), None)

    def add(self, question: LinkQuestion) -> None:
        """Add a question, or the next step of a form. A repeated question keeps its id."""
        known = self._open.get(question.request)
        again = known is not None and known.dialog.is_same_question(question.dialog)
        number = known.dialog.id if known is not None and again else next(self._ids)
        named = replace(question, dialog=replace(question.dialog, id=number))
        self._open[question.request] = named
        if self._current is None:
            self._current = question.request

    def resolve(self, request: object) -> bool:
        """Remove an answered request; return whether it was open."""
        if not isinstance(request, int | str) or self._open.pop(request, None) is None:
            return False
        if request == self._current:
            self._current = next(reversed(self._open), None)
        return True

    def clear(self) -> bool:
        """Remove all questions; return whether there were any."""
        dropped = bool(self._open)
        self._open.clear()
        self._current = None
        return dropped
