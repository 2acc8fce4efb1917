"""The agent's open question as text, for clients that read only messages.

    agent's message    its text
                       (blank line)
                       title, reason, command, diff, choices   while the question is open

On a terminal it is the text of the screen, with the marker that the arrow keys move, if the screen
shows all of it; otherwise it is composed from the `Dialog`. It is shown but never saved.
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
"""Seconds to wait until an answered dialog is gone."""


class OpenQuestion:
    """Keeps the end of a history's last message in step with the open dialog."""

    def __init__(self, history: History, transcript: Transcript, *, terminal: bool) -> None:
        """`terminal`: the messages are text of a screen."""
        self._history = history
        self._transcript = transcript
        self._terminal = terminal
        self._state = PhaseState(Phase.STARTING, "not started yet")
        self._changed = asyncio.Event()  # set, and replaced, with each state
        self._rendered = ""
        self.dialog: Dialog | None = None
        """The open dialog, with the whole patch or command if the agent recorded it."""
        transcript.watch(lambda ids: self.refresh())

    def on_phase(self, state: PhaseState) -> None:
        """Set the agent's phase and its open dialog."""
        self._state = state
        self.refresh()
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_closed(self, dialog_id: str) -> None:
        """Wait until this answered dialog no longer blocks the agent. Raises `SendError` if it
        stays open."""
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                while self._blocked_by(dialog_id):
                    await self._changed.wait()
        except TimeoutError:
            if self._state.dialog is not None:
                reason = f"the dialog is still open {ANSWER_LIMIT:g} s after its answer"
                raise SendError("answer", reason) from None

    def _blocked_by(self, dialog_id: str) -> bool:
        """Whether the agent waits for this dialog, or for one that is not known yet."""
        dialog = self._state.dialog
        if dialog is None:
            return self._state.phase is Phase.BLOCKED
        return dialog.id == dialog_id

    def set_rendered(self, text: str) -> None:
        """Set the dialog's text on the screen. When that is gone, the dialog is about to close, and
        its text stays as it is."""
        self._rendered = text
        if text:
            self.refresh()

    def refresh(self) -> None:
        """Update the question: the dialog, its patch or the text above it changed."""
        self.dialog = self._whole(self._state.dialog)
        if self.dialog is None:
            self._history.set_question("")
        else:
            self._history.set_question(self._text(self.dialog), self.dialog.id)

    def _whole(self, dialog: Dialog | None) -> Dialog | None:
        """Return the dialog with its patch or command as recorded."""
        items = (entry.item for entry in self._transcript.newest_first())
        if dialog is not None and dialog.kind == "patch":
            return replace(dialog, diff=recorded_patch(items) or dialog.diff)
        if dialog is not None and dialog.kind == "command":
            return replace(dialog, command=recorded_command(items, dialog.command))
        return dialog

    def _text(self, dialog: Dialog) -> str:
        if not self._terminal or not self._rendered:
            return question_text(dialog)
        text = self._history.messages[-1].content if self._history.messages else ""
        whole = shows_all(f"{text}\n{self._rendered}", dialog)
        return self._rendered if whole else question_text(dialog)
