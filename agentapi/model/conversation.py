"""The value types of a conversation, shared by drivers, the session and the wire."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import count


class Role(StrEnum):
    """The author of a message."""

    USER = "user"
    AGENT = "agent"


class Status(StrEnum):
    """The status on the wire: `stable` waits for the user, `running` does not."""

    RUNNING = "running"
    STABLE = "stable"


class Phase(StrEnum):
    """What the agent is doing."""

    STARTING = "starting"
    IDLE = "idle"
    WORKING = "working"
    BLOCKED = "blocked"
    EXITED = "exited"

    @property
    def status(self) -> Status:
        """The status on the wire: idle and blocked wait for the user."""
        return Status.STABLE if self in (Phase.IDLE, Phase.BLOCKED) else Status.RUNNING


class Level(StrEnum):
    """The severity of a notice (`agent_error.level` on the wire)."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Ids ascend from 0 without gaps; an agent's message may grow under its id."""

    id: int
    role: Role
    content: str
    time: datetime
    """When the message began, aware, UTC."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to clients outside the conversation (`agent_error` on the wire)."""

    level: Level
    message: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to answer a dialog."""

    id: str
    label: str
    key: str
    """The keystroke that selects it; empty if there is none."""
    description: str = ""
    """The agent's explanation."""


STARTUP_DIALOGS = ("trust", "login", "update")
"""The kinds of dialogs that may precede the first turn."""


@dataclass(frozen=True, slots=True)
class Dialog:
    """A question of the agent that only the user may answer."""

    id: str
    kind: str
    """`command`, `patch`, `mcp`, `permission`, `trust`, `login`, `update`, `question`, `other`."""
    title: str
    reason: str = ""
    command: str = ""
    diff: str = ""
    choices: tuple[Choice, ...] = ()

    def is_same_question(self, other: Dialog) -> bool:
        """Whether both are the same question, regardless of their ids. At startup an agent may
        draw a picture beside it, which cuts off the ends of its lines."""
        if self.kind in STARTUP_DIALOGS:
            cut = self.title.startswith(other.title) or other.title.startswith(self.title)
            return cut and self.kind == other.kind and len(self.choices) == len(other.choices)
        return replace(self, id=other.id) == other

    def unknown_choice(self, choice_id: str) -> str:
        """Return the error message for a choice that the dialog does not have."""
        known = ", ".join(f"{choice.id!r} ({choice.label})" for choice in self.choices)
        return f"the dialog has no choice {choice_id!r}; it has {known or 'none'}"


def dialog_ids() -> Iterator[str]:
    """Generate dialog ids that are unique across runs: a late answer can hit no other dialog."""
    run = secrets.token_hex(4)
    return (f"dialog-{number}-{run}" for number in count(1))


@dataclass(frozen=True, slots=True)
class PhaseState:
    """A phase, the reason for it, and the open dialog while it is `blocked`."""

    phase: Phase
    reason: str
    """The evidence in a few words, for example `osc 7501: working`."""
    dialog: Dialog | None = None
