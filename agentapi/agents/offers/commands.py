"""Subcommands of agents as plain data, from which the command line builds click commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentapi.settings.settings import Option, ServerSettings

if TYPE_CHECKING:
    from agentapi.agents.offers.parts import Compose


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A prepared run of a subcommand."""

    settings: ServerSettings
    composer: Callable[[], Compose]
    """Imports and returns the function that creates the server's parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCommand:
    """A subcommand that starts an agent in its own way and serves its API."""

    help: str
    options: Sequence[Option]
    arguments: str
    """Placeholder in the help for the remaining arguments."""
    prepare: Callable[
        [Mapping[str, str | Sequence[str] | None], Mapping[str, str], Sequence[str]], Prepared
    ]
    """Prepares a run from the flags, the environment and the remaining arguments. Raises
    `SettingsError`."""
