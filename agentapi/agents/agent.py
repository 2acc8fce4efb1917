"""What an agent is to the rest of the package: one value, found by `agentapi.agents.registry`.

Everything that takes an import is behind a function, so that all agents together cost a start
nothing: profiles, drivers and commands are imported only when they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from agentapi.agents.offers.commands import ServingCommand
    from agentapi.agents.offers.doctor import Doctor
    from agentapi.agents.offers.parts import Driven
    from agentapi.conversation.profile import AgentProfile
    from agentapi.settings.settings import Option, ServerSettings

LAST = 100
"""The place of an agent that asks for none."""


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A serving subcommand as the overview shows it, without importing it."""

    name: str
    summary: str
    load: Callable[[], ServingCommand]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent type."""

    name: str
    """As `--type` and `GET /status` have it."""
    title: str = ""
    """As people call it; empty where there is no better word than "agent"."""
    programs: tuple[str, ...]
    """What its program may be called; `--type` takes these names too."""
    profile: Callable[[], AgentProfile]
    """How its terminal program looks."""
    driver: Callable[[Agent, ServerSettings], Driven]
    """What drives it, made for one run."""
    place: int = LAST
    """Its place among the others, in the help and in errors."""

    options: Callable[[], Sequence[Option]] = tuple
    """Options of its own for `agentapi server`."""
    check: Callable[[Mapping[str, Any]], None] = lambda values: None
    """Raises `SettingsError` for values of options, by their fields, that do not go together."""
    outlives: Callable[[int], bool] = lambda pid: False
    """Whether a process is one that it starts and shares with other terminals: it is never ended
    with what an agent leaves running."""
    link: str = ""
    """What `link` in `GET /session` says of it, for the API's description."""

    subcommands: tuple[Subcommand, ...] = ()
    configure: Callable[[], click.Command] | None = None
    """What `agentapi configure NAME` does."""
    doctor: Callable[[], Doctor] | None = None
    """What `agentapi doctor` looks at."""
