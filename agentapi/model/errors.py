"""Why a message or an answer did not reach the agent."""

from __future__ import annotations


class SendError(Exception):
    """A message did not reach the agent. `step` says how far it came: `check` (nothing was
    typed), `echo` (it never showed in the composer), `begin` (no turn began)."""

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
    """A dialog is open: a user message must not answer it."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "check", f"the agent asks a question that only the user can answer:\n{text}"
        )
        self.text = text
