"""The vocabulary of a conversation, shared by drivers, the session and the wire."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import count


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    AGENT = "agent"


class Status(StrEnum):
    """The wire's word: `stable` waits for the user, `running` does not."""

    RUNNING = "running"
    STABLE = "stable"


class Phase(StrEnum):
    """What the agent does, in our own words."""

    STARTING = "starting"
    IDLE = "idle"
    WORKING = "working"
    BLOCKED = "blocked"
    EXITED = "exited"

    @property
    def status(self) -> Status:
        """The wire's status: idle and blocked wait for the user."""
        return Status.STABLE if self in (Phase.IDLE, Phase.BLOCKED) else Status.RUNNING


class Level(StrEnum):
    """How bad a notice is (the wire's `agent_error.level`)."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. Ids ascend from 0 without gaps; an agent's message may grow, keeping its id."""

    id: int
    role: Role
    content: str
    time: datetime
    """When the message began, aware, UTC."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a client should be told besides the conversation (`agent_error` on the wire)."""

    level: Level
    message: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to answer a dialog."""

    id: str
    label: str
    key: str
    """The keystroke that picks it; empty where none does."""
    description: str = ""
    """What the agent says of it besides."""


STARTUP_DIALOGS = ("trust", "login", "update")
"""The kinds of dialogs that stand before the first turn."""


@dataclass(frozen=True, slots=True)
class Dialog:
    """A question that the agent asks and that only the user may answer."""

    id: str
    kind: str
    """`command`, `patch`, `mcp`, `permission`, `trust`, `login`, `update`, `question`, `other`."""
    title: str
    reason: str = ""
    command: str = ""
    diff: str = ""
    choices: tuple[Choice, ...] = ()

    def asks_the_same(self, other: Dialog) -> bool:
        """Whether both are one question, whatever ids they have. At the start an agent may paint
        a picture beside it and cut off the ends of its lines."""
        if self.kind in STARTUP_DIALOGS:
            cut = self.title.startswith(other.title) or other.title.startswith(self.title)
            return cut and self.kind == other.kind and len(self.choices) == len(other.choices)
        return replace(self, id=other.id) == other

    def no_choice(self, wanted: str) -> str:
        """What to say to somebody who wants a choice that the dialog does not have."""
        known = ", ".join(f"{choice.id!r} ({choice.label})" for choice in self.choices)
        return f"the dialog has no choice {wanted!r}; it has {known or 'none'}"


def dialog_ids() -> Iterator[str]:
    """Ids for the dialogs of one run, which no other run gives to one of its own: an answer that
    comes too late answers nothing else."""
    run = secrets.token_hex(4)
    return (f"dialog-{number}-{run}" for number in count(1))


@dataclass(frozen=True, slots=True)
class PhaseState:
    """A phase, why we believe it, and the dialog that is open while it is `blocked`."""

    phase: Phase
    because: str
    """The evidence in a few words, for example `osc 7501: working`."""
    dialog: Dialog | None = None
