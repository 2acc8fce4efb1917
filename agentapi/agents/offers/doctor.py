"""An agent's part of `agentapi doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from agentapi.model.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What `agentapi doctor` says of an agent."""

    findings: Iterable[Finding]
    folders: Mapping[str, Path]
    """The folders that it writes in, by what they are."""
    folder_faults: Sequence[Finding] = ()
    """What else there is to say of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """An agent's part of `agentapi doctor`."""

    options: Sequence[click.Option]
    examine: Callable[[Mapping[str, Any], Mapping[str, str], Path], Examination]
    """From the values of these options, the environment and the working directory."""
    names_program: Callable[[Mapping[str, Any]], bool]
    """Whether these options name a program, which then is examined in any case."""
