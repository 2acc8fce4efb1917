"""A request of the app-server as a question: what it asks, and what each choice leads to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentapi.agents.codex.link.rpc import RequestId
from agentapi.model.conversation import Choice, Dialog, dialog_ids

Result = dict[str, Any]
"""What a request is answered with."""


@dataclass(frozen=True, slots=True)
class LinkQuestion:
    """One request, or one step of it: a form asks one thing after the other."""

    request: RequestId
    dialog: Dialog
    """It gets its id when it is put among the open ones."""
    outcomes: Mapping[str, Result | Callable[[], LinkQuestion]]
    """By the id of the choice: the answer, or how the form goes on."""

    def choose(self, choice: str) -> Result | LinkQuestion:
        """Where a choice leads. Raises `LookupError` with the choices that there are."""
        outcome = self.outcomes.get(choice)
        if outcome is None:
            raise LookupError(self.dialog.unknown_choice(choice))
        return outcome() if callable(outcome) else outcome


def asking(
    request: RequestId,
    choices: Sequence[tuple[str | Choice, Result | Callable[[], LinkQuestion]]],
    **about: str,
) -> LinkQuestion:
    """A question with these choices, each with what it leads to. They are numbered as on the
    screen; one that has an id of its own keeps it."""
    named = [
        choice if isinstance(choice, Choice) else Choice(str(number), choice, "")
        for number, (choice, _) in enumerate(choices, 1)
    ]
    dialog = Dialog(id="", choices=tuple(named), **about)
    outcomes = {one.id: outcome for one, (_, outcome) in zip(named, choices, strict=True)}
    return LinkQuestion(request, dialog, outcomes)


class OpenQuestions:
    """The questions that wait for an answer, several when the agent works on several things.

    One is shown, the same as on Codex's screen: the first that came, and behind it always the
    newest. `ids`: those of the dialogs. A request's own number is none: every app-server counts
    from 0, and an answer to what the last one asked would allow what this one asks."""

    def __init__(self, ids: Iterator[str] | None = None) -> None:
        self._ids = ids or dialog_ids()
        self._open: dict[RequestId, LinkQuestion] = {}
        self._shown: RequestId | None = None

    @property
    def shown(self) -> LinkQuestion | None:
        """The question to answer next."""
        return self._open.get(self._shown) if self._shown is not None else None

    def find(self, dialog_id: str) -> LinkQuestion | None:
        """The open question with this id."""
        return next((one for one in self._open.values() if one.dialog.id == dialog_id), None)

    def put(self, question: LinkQuestion) -> None:
        """A question was asked, or goes on. One that is only told again keeps its id."""
        known = self._open.get(question.request)
        again = known is not None and known.dialog.is_same_question(question.dialog)
        number = known.dialog.id if known is not None and again else next(self._ids)
        named = replace(question, dialog=replace(question.dialog, id=number))
        self._open[question.request] = named
        if self._shown is None:
            self._shown = question.request

    def decided(self, request: object) -> bool:
        """A request was answered, by whomever; whether it was open."""
        if not isinstance(request, int | str) or self._open.pop(request, None) is None:
            return False
        if request == self._shown:
            self._shown = next(reversed(self._open), None)
        return True

    def drop(self) -> bool:
        """Nothing is asked any more; whether anything was."""
        dropped = bool(self._open)
        self._open.clear()
        self._shown = None
        return dropped
