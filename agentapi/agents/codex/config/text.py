"""Merge our part into AGENTS.md and auth.json."""

from __future__ import annotations

import json
import re
from typing import Any

from agentapi.agents.codex.config.files import ConfigError, parse_json
from agentapi.agents.codex.config.ledger import KeyPath, Owned, digest

BEGIN = "<!-- agentapi: the lines from here are written by `agentapi configure codex` -->"
END = "<!-- agentapi: to here -->"
_BLOCK: KeyPath = ("block",)
_MODE: KeyPath = ("auth_mode",)
_KEY: KeyPath = ("OPENAI_API_KEY",)


def merge_instructions(
    text: str, wanted: str, owned: Owned | None, *, source: str, overwrite: bool = False
) -> tuple[str, Owned, bool]:
    """Merge our block into AGENTS.md; return the text, our keys, and whether the user's version of
    the block was kept.

    Instructions that are already in the file, outside of a block, are not added again."""
    wanted = wanted.strip("\n")
    start, stop = _find_block(text, source)
    inside = None if start is None else text[start:stop].split("\n", 1)[-1].rpartition(END)[0]
    state = None if inside is None else digest(inside.strip("\n"))
    states = (owned.keys.get(_BLOCK) if owned else None) or frozenset(
        [state] if owned is None else [None]
    )
    known = owned is not None and _BLOCK in owned.keys
    aim = digest(wanted)
    if wanted and state is None and wanted in text and not known:
        return text, Owned(), False
    if state not in states and not overwrite and state != aim:
        return text, Owned({_BLOCK: states}) if known else Owned(), bool(wanted)
    block = f"{BEGIN}\n{wanted}\n{END}" if wanted else ""
    result = Owned({_BLOCK: frozenset([aim])}) if wanted else Owned()
    if start is not None:
        return _around(text[:start], block, text[stop:]), result, False
    if not block:
        return text, result, False
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{block}\n", result, False


def _find_block(text: str, source: str) -> tuple[int | None, int]:
    starts = [found.start() for found in re.finditer(re.escape(BEGIN), text)]
    stops = [found.end() for found in re.finditer(re.escape(END), text)]
    if not starts and not stops:
        return None, 0
    if len(starts) == 1 and len(stops) == 1 and starts[0] < stops[0]:
        return starts[0], stops[0]
    line = text.count("\n", 0, min(starts + stops)) + 1
    raise ConfigError(
        f"{source}:{line}:1: the marks of our block do not pair up. Put back or delete the lines "
        f"`{BEGIN}` and `{END}`, then run this again. It was left as it is."
    )


def _around(before: str, block: str, after: str) -> str:
    """Join the block and its neighbors; without a block, remove the gap that it left."""
    if block:
        return before + block + after
    after = after.removeprefix("\n")
    return before[:-1] if not after and before.endswith("\n\n") else before + after


def merge_auth(
    text: str, api_key: str, owned: Owned, *, source: str, overwrite: bool = False
) -> tuple[str, Owned, bool]:
    """Merge the key into auth.json; return the text, our keys, and whether the user's login was
    kept.

    A login that is not ours (ChatGPT's, or another key) is only replaced with `overwrite`."""
    login: dict[str, Any] = parse_json(text, source) if text.strip() else {}
    wanted = {"auth_mode": "apikey", "OPENAI_API_KEY": api_key}
    if all(login.get(name) == value for name, value in wanted.items()):
        return text, owned, False
    there = login.get("OPENAI_API_KEY")
    ours = _KEY in owned.keys and digest(there) in owned.keys[_KEY]
    same = there == api_key and login.get("auth_mode") is None
    if login and not ours and not same and not overwrite:
        return text, owned, True
    if same:
        return text, owned, False
    states = {_KEY: frozenset([digest(api_key)]), _MODE: frozenset([digest("apikey")])}
    return json.dumps({**login, **wanted}, indent=2) + "\n", Owned(dict(states)), False
