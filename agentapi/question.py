"""The question that the agent asks, as clients of the messages alone see it.

    agent's message    what it said
                       (blank line)
                       title, reason, command, diff, choices   while the question is open

Of a terminal it is what the screen shows, with the mark that the arrow keys move, as long as that
is all of it; else, and of everything that is no terminal's text, it is made of the `Dialog`. It is
shown and never kept: the stored conversation has only what was said.
"""

from __future__ import annotations

from dataclasses import replace

from agentapi.conversation.model import Dialog
from agentapi.conversation.question import exact_command, exact_patch, question_text, shows_all
from agentapi.history import History
from agentapi.transcript import Transcript


class OpenQuestion:
    """Keeps the end of a history's last message in step with the open dialog."""

    def __init__(self, history: History, transcript: Transcript, *, terminal: bool) -> None:
        """`terminal`: the messages are text of a screen."""
        self._history = history
        self._transcript = transcript
        self._terminal = terminal
        self._asked: Dialog | None = None
        self._painted = ""
        self.dialog: Dialog | None = None
        """The open dialog; its patch or command is whole, if the agent recorded it."""
        transcript.watch(lambda ids: self.show())

    def ask(self, dialog: Dialog | None) -> None:
        """This dialog is open now, or none."""
        self._asked = dialog
        self.show()

    def paint(self, text: str) -> None:
        """The screen shows the dialog so."""
        self._painted = text
        self.show()

    def show(self) -> None:
        """Look again: the dialog, or what is known of its patch or said above it, changed."""
        self.dialog = self._whole(self._asked)
        if self.dialog is None:
            self._history.ask("")
        else:
            self._history.ask(self._text(self.dialog), self.dialog.id)

    def _whole(self, dialog: Dialog | None) -> Dialog | None:
        """The dialog with what is recorded of its patch or command."""
        items = (told.item for told in self._transcript.newest_first())
        if dialog is not None and dialog.kind == "patch":
            return replace(dialog, diff=exact_patch(items) or dialog.diff)
        if dialog is not None and dialog.kind == "command":
            return replace(dialog, command=exact_command(items, dialog.command))
        return dialog

    def _text(self, dialog: Dialog) -> str:
        if not self._terminal or not self._painted:
            return question_text(dialog)
        said = self._history.messages[-1].content if self._history.messages else ""
        whole = shows_all(f"{said}\n{self._painted}", dialog)
        return self._painted if whole else question_text(dialog)
