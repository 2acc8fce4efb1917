"""The initial prompt and whether it was sent.

It is sent once across all runs: the saved state has it. A prompt that differs from the saved one is
new; a saved one that could not be sent is sent in the next run.
"""

from __future__ import annotations

from collections.abc import Awaitable

from agentapi.storage.state import SavedState

BLANK = " \t\n\r\f\v"
"""The characters trimmed from both ends of a user message."""


class InitialPrompt:
    """The state of the initial prompt: not known yet, waiting, being sent, sent or given up."""

    def __init__(self, given: str | Awaitable[str | None] | None, history: SavedState) -> None:
        self._history = history
        self.coming: Awaitable[str | None] | None = None
        self.text = ""
        self.sent = False
        self.sending = False
        self.given_up = False
        if given is None or isinstance(given, str):
            self.set(given)
        else:
            self.coming = given

    def set(self, given: str | None) -> None:
        """Set the prompt: a new one, else one that an earlier run could not send."""
        self.coming = None
        text = (given or "").strip(BLANK)
        saved = self._history
        self.text = text or saved.initial_prompt
        self.sent = self.text == saved.initial_prompt and saved.initial_prompt_sent

    def arrived(self) -> None:
        """Note a new user message in the conversation: the prompt, if it was being sent."""
        if self.sending:
            self.sent = True

    @property
    def pending(self) -> bool:
        """Whether the prompt has not arrived yet."""
        return self.coming is not None or (bool(self.text) and not self.sent and not self.given_up)
