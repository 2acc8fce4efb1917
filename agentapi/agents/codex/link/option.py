"""The option `--codex-link` and its conflicts with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentapi.settings import parsers
from agentapi.settings.settings import Option, ServerSettings, SettingsError

LINK = Option(
    "codex-link",
    "Work with Codex through an app-server of its own, on which its TUI runs too: exact text,"
    " sends, answers and interrupts by call. on: or fail; auto: where this Codex can; off.",
    parsers.one_of("auto", "on", "off"),
    "off",
    metavar="[auto|on|off]",
    shown="off; without a value: on",
    bare="on",
)


def link_wanted(settings: ServerSettings) -> str:
    """Return `auto`, `on` or `off`."""
    return str(settings.agent_options[LINK.field])


def check_link(found: Mapping[str, Any]) -> None:
    """Raise `SettingsError` for an `on` that could not take effect."""
    if found[LINK.field] != "on" or found["print_openapi"]:
        return
    if found["verbatim"]:
        raise SettingsError(
            "--verbatim and --codex-link on exclude each other: the link adds words to Codex's"
            " command line (--codex-link auto gives way)"
        )
    if found["experimental_acp"]:
        raise SettingsError("--experimental-acp and --codex-link on exclude each other")
    if found["type"] != "codex":
        raise SettingsError(
            f"--codex-link on: the agent's type is {found['type']}, and only codex has a link:"
            " give --type codex, or --codex-link auto"
        )
