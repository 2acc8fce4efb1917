"""Selects the agents that the doctor checks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import click

from agentapi.agents.offers.doctor import Doctor
from agentapi.agents.registry import agents
from agentapi.model.finding import Finding, fine

_TYPE = "AGENTAPI_TYPE"


def all_options() -> list[click.Option]:
    """Return the options of all agents with a doctor."""
    doctors = [agent.doctor() for agent in agents() if agent.doctor is not None]
    return [option for doctor in doctors for option in doctor.options]


def chosen(given: Mapping[str, Any], environment: Mapping[str, str]) -> list[Doctor]:
    """Return the doctors of the relevant agents: those whose program is named by an option, and
    that of the server's type; without a type those that are installed, or all if none is."""
    present, type_name = installed(environment), environment.get(_TYPE, "")
    found = []
    for agent in agents():
        if agent.doctor is not None:
            doctor = agent.doctor()
            relevant = agent.name in present or not present
            if type_name:
                relevant = type_name in agent.programs
            if relevant or doctor.names_program(given):
                found.append(doctor)
    return found


def installed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the agents whose program is in the PATH, with its path."""
    path = environment.get("PATH")
    places = ((a.name, shutil.which(name, path=path)) for a in agents() for name in a.programs)
    return {name: place for name, place in places if place is not None}


def programs(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the paths of installed agents that have no doctor."""
    for name, place in installed(environment).items():
        yield fine(name, f"{place} (not looked into)")
