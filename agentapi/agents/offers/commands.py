"""A subcommand of an agent's own, as plain data: the command line makes click's of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentapi.settings.settings import Option, ServerSettings

if TYPE_CHECKING:
    from agentapi.agents.offers.parts import Compose


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A subcommand's run, ready to serve."""

    settings: ServerSettings
    composer: Callable[[], Compose]
    """Imports what gives the server its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCommand:
    """A subcommand that starts an agent in its own way and serves its API."""

    help: str
    options: Sequence[Option]
    arguments: str
    """How the help shows the words that are not ours."""
    prepare: Callable[
        [Mapping[str, str | Sequence[str] | None], Mapping[str, str], Sequence[str]], Prepared
    ]
    """From the flags, the environment and the other words. Raises `SettingsError`."""
