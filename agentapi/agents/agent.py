"""The definition of an agent, found by `agentapi.agents.registry`.

Profiles, drivers and commands are behind functions that import them when used, so that defining
many agents does not slow down the start.
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
"""The default place of an agent."""


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A serving subcommand as listed in the help, without importing it."""

    name: str
    summary: str
    load: Callable[[], ServingCommand]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent type."""

    name: str
    """The name in `--type` and `GET /status`."""
    title: str = ""
    """The display name; empty for just "agent"."""
    programs: tuple[str, ...]
    """Names of its program; `--type` accepts these, too."""
    profile: Callable[[], AgentProfile]
    """Returns the profile of its screen."""
    driver: Callable[[Agent, ServerSettings], Driven]
    """Creates the driver for one run."""
    place: int = LAST
    """Its sort order in the help and in errors."""

    options: Callable[[], Sequence[Option]] = tuple
    """Its own options for `agentapi server`."""
    check: Callable[[Mapping[str, Any]], None] = lambda values: None
    """Raises `SettingsError` for inconsistent option values, given by field."""
    outlives: Callable[[int], bool] = lambda pid: False
    """Whether a process was started by it and is shared with other terminals. Such processes are
    not ended with the agent."""
    link: str = ""
    """Description of `link` in `GET /session`, for the API documentation."""

    subcommands: tuple[Subcommand, ...] = ()
    configure: Callable[[], click.Command] | None = None
    """The command `agentapi configure NAME`."""
    doctor: Callable[[], Doctor] | None = None
    """Its checks for `agentapi doctor`."""
