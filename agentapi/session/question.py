"""The question that the agent asks, as clients of the messages alone see it.

    agent's message    what it said
                       (blank line)
                       title, reason, command, diff, choices   while the question is open

Of a terminal it is what the screen shows, with the mark that the arrow keys move, as long as that
is all of it; else, and of everything that is no terminal's text, it is made of the `Dialog`. It is
shown and never kept: the stored conversation has only what was said.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from agentapi.conversation.question import (
    question_text,
    recorded_command,
    recorded_patch,
    shows_all,
)
from agentapi.model.conversation import Dialog, Phase, PhaseState
from agentapi.model.errors import SendError
from agentapi.session.history import History
from agentapi.transcript.transcript import Transcript

ANSWER_LIMIT = 5.0
"""Seconds that an answered dialog has to be gone in our eyes, too."""


class OpenQuestion:
    """Keeps the end of a history's last message in step with the open dialog."""

    def __init__(self, history: History, transcript: Transcript, *, terminal: bool) -> None:
        """`terminal`: the messages are text of a screen."""
        self._history = history
        self._transcript = transcript
        self._terminal = terminal
        self._state = PhaseState(Phase.STARTING, "not started yet")
        self._moved = asyncio.Event()  # set, and replaced, with each state
        self._painted = ""
        self.dialog: Dialog | None = None
        """The open dialog; its patch or command is whole, if the agent recorded it."""
        transcript.watch(lambda ids: self.show())

    def follow(self, state: PhaseState) -> None:
        """The agent's phase is this now, with its open dialog."""
        self._state = state
        self.show()
        self._moved.set()
        self._moved = asyncio.Event()

    async def decided(self, dialog_id: str) -> None:
        """Wait until this dialog, whose answer was taken, blocks the agent no more. Raises
        `SendError` when it stays."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                while self._blocked_by(dialog_id):
                    await self._moved.wait()
        except TimeoutError:
            if self._state.dialog is not None:
                reason = f"the dialog is still open {ANSWER_LIMIT:g} s after its answer"
                raise SendError("answer", reason) from None

    def _blocked_by(self, dialog_id: str) -> bool:
        """Whether the agent waits for this dialog, or for one that nobody knows yet."""
        dialog = self._state.dialog
        if dialog is None:
            return self._state.phase is Phase.BLOCKED
        return dialog.id == dialog_id

    def paint(self, text: str) -> None:
        """The screen shows the dialog so. One that it shows no more is about to go: what is known
        of it need not be told once more in other words."""
        self._painted = text
        if text:
            self.show()

    def show(self) -> None:
        """Look again: the dialog, or what is known of its patch or said above it, changed."""
        self.dialog = self._whole(self._state.dialog)
        if self.dialog is None:
            self._history.ask("")
        else:
            self._history.ask(self._text(self.dialog), self.dialog.id)

    def _whole(self, dialog: Dialog | None) -> Dialog | None:
        """The dialog with what is recorded of its patch or command."""
        items = (told.item for told in self._transcript.newest_first())
        if dialog is not None and dialog.kind == "patch":
            return replace(dialog, diff=recorded_patch(items) or dialog.diff)
        if dialog is not None and dialog.kind == "command":
            return replace(dialog, command=recorded_command(items, dialog.command))
        return dialog

    def _text(self, dialog: Dialog) -> str:
        if not self._terminal or not self._painted:
            return question_text(dialog)
        said = self._history.messages[-1].content if self._history.messages else ""
        whole = shows_all(f"{said}\n{self._painted}", dialog)
        return self._painted if whole else question_text(dialog)
