"""Which agents the doctor looks at."""

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
    """The options of all agents that have a doctor."""
    doctors = [agent.doctor() for agent in agents() if agent.doctor is not None]
    return [option for doctor in doctors for option in doctor.options]


def chosen(given: Mapping[str, Any], environment: Mapping[str, str]) -> list[Doctor]:
    """The doctors of the agents that matter here: one whose program is named by an option; else of
    the type that the server is told; else of those that are installed, or of all if none is."""
    there, told = installed(environment), environment.get(_TYPE, "")
    found = []
    for agent in agents():
        if agent.doctor is not None:
            doctor = agent.doctor()
            matters = told in agent.programs if told else agent.name in there or not there
            if matters or doctor.names_program(given):
                found.append(doctor)
    return found


def installed(environment: Mapping[str, str]) -> dict[str, str]:
    """The agents whose program is in the PATH, each with where it is."""
    path = environment.get("PATH")
    places = ((a.name, shutil.which(name, path=path)) for a in agents() for name in a.programs)
    return {name: place for name, place in places if place is not None}


def programs(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Where the installed agents are, of which nothing more is known."""
    for name, place in installed(environment).items():
        yield fine(name, f"{place} (not looked into)")
