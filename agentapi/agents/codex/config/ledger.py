"""Record which values in Codex's files are ours and which are the user's.

The ledger is `agentapi.json` (0600) beside the files. For each of our keys it has the digests of
the values that count as unchanged, but no values.

It is written in two steps around a change: first with the old and new state of each key, then with
the new one only. So the next run continues one that was killed in between, and does not mistake its
changes for the user's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentapi.agents.codex.config.files import ConfigError, parse_json, read_text

KeyPath = tuple[str, ...]
State = str | None
"""The digest of a value, None for "not there"."""

FILE_NAME = "agentapi.json"


@dataclass
class Owned:
    """Our keys in one file."""

    keys: dict[KeyPath, frozenset[State]] = field(default_factory=dict)
    """A key is ours while its state is one of these; otherwise the user has changed it."""
    tables: set[KeyPath] = field(default_factory=set)
    """Tables that we created; they are removed when empty."""


Ledger = dict[str, Owned]
"""Our keys by file name."""


def digest(value: Any) -> str:
    """Return a digest that is equal for equal TOML or JSON values: 1, 1.0, true and "1" differ,
    the order of keys does not matter."""
    text = json.dumps(
        value, sort_keys=True, default=lambda v: {"": [type(v).__name__, v.isoformat()]}
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def load(home: Path) -> Ledger | None:
    """Load the ledger of the last run; None when there is none (then the marks in the files count).

    Raises `ConfigError` for an invalid one."""
    path = home / FILE_NAME
    text = read_text(path)
    if text is None:
        return None
    content = parse_json(text, str(path))
    try:
        files = content["files"]
        return {name: _owned(entry) for name, entry in files.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{path}: not a list of what was written. Delete it: the marks in the files then say "
            "what is ours."
        ) from error


def _owned(entry: dict[str, Any]) -> Owned:
    keys = {_path(key): frozenset(states) for key, states in entry["keys"].items()}
    return Owned(keys, {_path(key) for key in entry["tables"]})


def _path(key: str) -> KeyPath:
    return tuple(map(str, json.loads(key)))


def dump(ledger: Ledger) -> str:
    """Serialize the ledger, deterministically."""
    files = {name: _entry(owned) for name, owned in sorted(ledger.items()) if owned.keys}
    note = "What `agentapi configure codex` wrote beside this file, as digests."
    return json.dumps({"version": 1, "note": note, "files": files}, indent=1) + "\n"


def _entry(owned: Owned) -> dict[str, Any]:
    keys = {json.dumps(key): sorted(states, key=str) for key, states in sorted(owned.keys.items())}
    return {"keys": keys, "tables": [json.dumps(key) for key in sorted(owned.tables)]}


def transition(before: Ledger, after: Ledger) -> Ledger:
    """Return the ledger while the files change from `before` to `after`: both states are ours."""
    return {
        name: _transition(before.get(name, Owned()), after.get(name, Owned()))
        for name in {*before, *after}
    }


def _transition(before: Owned, after: Owned) -> Owned:
    absent: frozenset[State] = frozenset([None])
    return Owned(
        {
            key: before.keys.get(key, absent) | after.keys.get(key, absent)
            for key in {*before.keys, *after.keys}
        },
        before.tables | after.tables,
    )
