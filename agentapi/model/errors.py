"""Errors of messages and answers that did not reach the agent."""

from __future__ import annotations


class SendError(Exception):
    """A message did not reach the agent. `step` is where it failed: `check` (nothing was
    typed), `echo` (it never appeared in the composer), `begin` (no turn started)."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


class Busy(SendError):
    """The agent is not waiting for user input."""

    def __init__(self) -> None:
        super().__init__(
            "check", "message can only be sent when the agent is waiting for user input"
        )


class DialogOpen(SendError):
    """A dialog is open, and a user message must not answer it."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "check", f"the agent asks a question that only the user can answer:\n{text}"
        )
        self.text = text
