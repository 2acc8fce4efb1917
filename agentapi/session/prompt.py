"""The initial prompt: what it is, and whether it is out.

It is sent once over all runs: the state remembers it. A prompt that differs from the remembered
one is new; a remembered one that could not be sent is still to be sent.
"""

from __future__ import annotations

from collections.abc import Awaitable

from agentapi.storage.state import SavedState

BLANK = " \t\n\r\f\v"
"""What is trimmed off both ends of a user message."""


class InitialPrompt:
    """The initial prompt on its way: not known yet, waiting, being sent, sent or given up."""

    def __init__(self, given: str | Awaitable[str | None] | None, history: SavedState) -> None:
        self._history = history
        self.coming: Awaitable[str | None] | None = None
        self.text = ""
        self.sent = False
        self.sending = False
        self.given_up = False
        if given is None or isinstance(given, str):
            self.known(given)
        else:
            self.coming = given

    def known(self, given: str | None) -> None:
        """Decide what to send: a new prompt, else one that an earlier run could not send."""
        self.coming = None
        text = (given or "").strip(BLANK)
        kept = self._history
        self.text = text or kept.initial_prompt
        self.sent = self.text == kept.initial_prompt and kept.initial_prompt_sent

    def arrived(self) -> None:
        """A user message entered the conversation: if it is the prompt's, the prompt is out."""
        if self.sending:
            self.sent = True

    @property
    def pending(self) -> bool:
        """Whether the prompt is still to arrive, as far as we know."""
        return self.coming is not None or (bool(self.text) and not self.sent and not self.given_up)
