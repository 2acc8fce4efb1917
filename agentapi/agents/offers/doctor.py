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
    """Results of `agentapi doctor` for an agent."""

    findings: Iterable[Finding]
    folders: Mapping[str, Path]
    """The folders it writes to, by description."""
    folder_faults: Sequence[Finding] = ()
    """Further findings about these folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doctor:
    """An agent's part of `agentapi doctor`."""

    options: Sequence[click.Option]
    examine: Callable[[Mapping[str, Any], Mapping[str, str], Path], Examination]
    """Runs the checks with the option values, the environment and the working directory."""
    names_program: Callable[[Mapping[str, Any]], bool]
    """Whether the options name a program, which is then always examined."""
