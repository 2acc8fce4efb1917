"""Merge our keys into a TOML document that others edit too, without losing any of their text.

Three states decide for each key: the value that we wrote (the ledger), the current value and the
wanted value.

    current value              ours?             result
    as we wrote it             yes               replaced by the wanted value, or removed
    changed or deleted since   no longer         kept
    there, never written       no                kept
    missing, never written     free              the wanted value is added

A server in `mcp_servers` and a provider in `model_providers` are units: one that somebody else
defined is not mixed with ours, and one that they removed does not come back in parts. `overwrite`
always writes the wanted value.

The text is edited by tomlkit and verified with another parser: a result that differs from the
intended values is never returned.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import tomlkit
from tomlkit.container import Container, OutOfOrderTableProxy
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, InlineTable, Item, Table

from agentapi.agents.codex.config.files import ConfigError, parse_toml
from agentapi.agents.codex.config.ledger import KeyPath, Owned, State, digest

MARK = "# agentapi"
"""The comment after each of our values."""
HEADER = (
    f'# The values marked "{MARK}" are written by `agentapi configure codex`, whose next run\n'
    "# replaces them. One that you change or delete stays as you left it.\n\n"
)
_UNITS = frozenset({"mcp_servers", "model_providers"})
_BLOCKED = "blocked"
"""The state of a key whose table cannot exist: another value has its name."""
_NOWHERE = (None, _BLOCKED)


class Inline(dict[str, Any]):
    """A table to be written in one line."""


@dataclass(frozen=True)
class Merged:
    """A document with our part in it."""

    text: str
    owned: Owned
    kept: list[KeyPath] = field(default_factory=list)
    """Keys that keep the user's value instead of the wanted one."""


def plain(item: Any) -> Any:
    """Convert a tomlkit item to plain values; inline tables become `Inline`."""
    if isinstance(item, InlineTable):
        return Inline({key: plain(value) for key, value in item.items()})
    if isinstance(item, dict):
        return {key: plain(value) for key, value in item.items()}
    return item.unwrap() if isinstance(item, Item) else item


def leaves(table: dict[str, Any], above: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each value with its key path; an empty table counts as a value."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def tables_of(table: dict[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the key path of each table that is not empty."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield (*above, key)
            yield from tables_of(value, (*above, key))


def state_of(table: dict[str, Any], path: KeyPath) -> State:
    """Return the digest of the value at `path`; None when there is none."""
    node: Any = table
    for key in path:
        if not isinstance(node, dict):
            return _BLOCKED
        if key not in node:
            return None
        node = node[key]
    return digest(node)


def dotted(path: KeyPath) -> str:
    """Format a key path as in TOML."""
    return ".".join(tomlkit.items.SingleKey(key).as_string() for key in path)


def merge(
    text: str, wanted: dict[str, Any], owned: Owned | None, *, source: str, overwrite: bool = False
) -> Merged:
    """Merge `wanted` into the document `text`.

    `owned` has the keys of the last run (None: unknown, the marks in the text count). Raises
    `ConfigError`, with `source`, line and column, when `text` is not valid TOML."""
    before = parse_toml(text, source)
    if owned is None:
        owned = _Document(text, before, source).marked()
    decision = _decide(before, dict(leaves(wanted)), owned, overwrite)
    for compact in (False, True):
        attempt = copy.deepcopy(decision)
        merged = _Document(text, before, source, compact=compact).apply(attempt, wanted)
        if merged is not None:
            return merged
    raise _odd_layout(source)


def _odd_layout(source: str, why: str = "") -> ConfigError:
    return ConfigError(
        f"{source}: valid, but laid out in a way in which our values cannot be put in safely{why}. "
        "Keep each table in one place and in one form (a [table], dotted keys or { inline }), "
        "then run this again. It was left as it is."
    )


@dataclass
class _Decision:
    owned: Owned
    set: dict[KeyPath, Any] = field(default_factory=dict)
    delete: list[KeyPath] = field(default_factory=list)
    kept: list[KeyPath] = field(default_factory=list)


def _decide(
    now: dict[str, Any], wanted: dict[KeyPath, Any], owned: Owned, overwrite: bool
) -> _Decision:
    decision = _Decision(Owned(tables=set(owned.tables)))
    theirs = {unit for unit in _units(wanted) if _is_theirs(now, unit, owned)}
    if overwrite:
        decision.delete = [unit for unit in theirs if state_of(now, unit) not in _NOWHERE]
        now, theirs = _without(now, decision.delete), set()
    for path, states in owned.keys.items():
        state = state_of(now, path)
        if path not in wanted and state is not None and state in states:
            decision.delete.append(path)
    for path, value in wanted.items():
        state, mine, aim = state_of(now, path), owned.keys.get(path), digest(value)
        free = state is None if mine is None else state in mine
        if state == aim and mine is not None:
            decision.owned.keys[path] = frozenset([aim])
        elif state == aim:
            pass
        elif overwrite or (free and path[:2] not in theirs):
            decision.set[path] = value
            decision.owned.keys[path] = frozenset([aim])
        else:
            if mine is not None:
                decision.owned.keys[path] = mine
            kept = path[:2] if path[:2] in theirs else path
            if kept not in decision.kept:
                decision.kept.append(kept)
    return decision


def _units(paths: Iterable[KeyPath]) -> set[KeyPath]:
    """Return the servers and providers among the keys."""
    return {path[:2] for path in paths if path[0] in _UNITS and len(path) > 2}


def _is_theirs(now: dict[str, Any], unit: KeyPath, owned: Owned) -> bool:
    """Return whether a server or provider was never ours, or was deleted as a whole: then none of
    its keys may come back."""
    ours = [states for key, states in owned.keys.items() if key[:2] == unit]
    if state_of(now, unit) not in _NOWHERE:
        return not ours
    return any(None not in states for states in ours)


def _without(table: dict[str, Any], paths: list[KeyPath]) -> dict[str, Any]:
    rest = copy.deepcopy(table)
    for path in paths:
        del _value(rest, path[:-1])[path[-1]]
    return rest


class _Document:
    """A text being edited, and the plain values that it must have in the end.

    `compact`: create our tables inside existing ones inline, which is the only way into a table
    with dotted keys."""

    def __init__(
        self, text: str, values: dict[str, Any], source: str, *, compact: bool = False
    ) -> None:
        self._source = source
        self._compact = compact
        self._text = text
        self._values = values
        try:
            self._root = tomlkit.parse(text)
        except TOMLKitError as error:
            why = f" ({str(error).rstrip('.')})"  # tomlkit refuses some TOML that tomllib reads
            raise _odd_layout(source, why) from error

    def marked(self) -> Owned:
        """Return the values that have our mark."""
        keys = {
            path: frozenset([digest(value)])
            for path, value in leaves(self._values)
            if MARK in _comment(self._root, path)
        }
        return Owned(dict(keys))

    def apply(self, decision: _Decision, wanted: dict[str, Any]) -> Merged | None:
        """Apply the decision to the text; None when the result would differ from it."""
        aim = copy.deepcopy(self._values)
        tables = decision.owned.tables
        try:
            for path in decision.delete:
                self._delete(aim, path, tables)
            for path, value in decision.set.items():
                self._set(aim, path, value, tables, wanted)
            self._mark(decision.owned)
            text = _with_header(tomlkit.dumps(self._root), bool(decision.owned.keys))
            faithful = digest(parse_toml(text, self._source)) == digest(aim)
        except (TOMLKitError, ConfigError, KeyError, ValueError, TypeError, AttributeError):
            return None
        if not faithful:
            return None
        tables.intersection_update({path for path in tables if state_of(aim, path)})
        return Merged(text, decision.owned, decision.kept)

    def _delete(self, aim: dict[str, Any], path: KeyPath, tables: set[KeyPath]) -> None:
        _remove(self._root, aim, path)
        for depth in range(len(path) - 1, 0, -1):
            above = path[:depth]
            if above not in tables or _value(aim, above) or _has_comments(self._root, above):
                return
            _remove(self._root, aim, above)
            tables.discard(above)

    def _set(
        self,
        aim: dict[str, Any],
        path: KeyPath,
        value: Any,
        tables: set[KeyPath],
        wanted: dict[str, Any],
    ) -> None:
        for depth in range(1, len(path)):
            above = path[:depth]
            state = state_of(aim, above)
            if state is not None and not isinstance(_value(aim, above), dict):
                _remove(self._root, aim, above)
                state = None
            if state is None:
                inline = self._compact and depth > 1 and above[:-1] not in tables
                self._open(aim, above, wanted, inline)
                tables.add(above)
        parent, key = _node(self._root, path[:-1]), path[-1]
        there = _value(aim, path[:-1]).get(key)
        if isinstance(there, dict | list) or isinstance(value, dict | list):
            if there is not None:
                _remove(self._root, aim, path)
                parent = _node(self._root, path[:-1])
            value = tomlkit.item(value, _parent=_as_parent(parent))
        parent[key] = value
        _value(aim, path[:-1])[key] = plain(value)

    def _open(
        self, aim: dict[str, Any], path: KeyPath, wanted: dict[str, Any], inline: bool
    ) -> None:
        """Create the table `path`, in the wanted form or the one that its position requires."""
        parent, like = _node(self._root, path[:-1]), _value(wanted, path)
        if inline or isinstance(like, Inline) or isinstance(parent, InlineTable):
            parent[path[-1]] = tomlkit.inline_table()
        else:
            headless = all(_has_header(value) for value in like.values())
            parent[path[-1]] = tomlkit.table(is_super_table=headless)
        _value(aim, path[:-1])[path[-1]] = {}

    def _mark(self, owned: Owned) -> None:
        """Mark exactly the lines that have only values of ours."""
        lines: dict[int, tuple[Item, bool]] = {}
        for path, value in leaves(_plain_root(self._root)):
            line = _line(self._root, path)
            if line is not None:
                ours = digest(value) in owned.keys.get(path, ())
                lines[id(line)] = line, ours and lines.get(id(line), (line, True))[1]
        for line, ours in lines.values():
            if ours and not line.trivia.comment:
                line.comment(MARK.removeprefix("# "))
            elif not ours and line.trivia.comment == MARK:
                line.trivia.comment = line.trivia.comment_ws = ""


def _has_header(value: Any) -> bool:
    """Return whether a value is written as `[table]` or `[[table]]`."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, dict) for each in value)
    return isinstance(value, dict) and bool(value) and not isinstance(value, Inline)


def _with_header(text: str, anything_ours: bool) -> str:
    if not anything_ours:
        return text.replace(HEADER, "", 1)
    return text if HEADER.rstrip() in text.replace("\r\n", "\n") else HEADER + text


def _plain_root(root: tomlkit.TOMLDocument) -> dict[str, Any]:
    return {key: plain(value) for key, value in root.items()}


def _node(root: Any, path: KeyPath) -> Any:
    for key in path:
        root = root[key]
    return root


def _value(table: dict[str, Any], path: KeyPath) -> Any:
    for key in path:
        table = table[key]
    return table


def _remove(root: tomlkit.TOMLDocument, aim: dict[str, Any], path: KeyPath) -> None:
    del _node(root, path[:-1])[path[-1]]
    del _value(aim, path[:-1])[path[-1]]


def _as_parent(node: Any) -> Item | None:
    return node if isinstance(node, Item) else None


def _has_comments(root: tomlkit.TOMLDocument, path: KeyPath) -> bool:
    """Return whether the otherwise empty table has a comment."""
    node = _node(root, path)
    return "#" in node.as_string() if isinstance(node, Table | InlineTable) else True


def _line(root: tomlkit.TOMLDocument, path: KeyPath) -> Item | None:
    """Return the item at the end of the line that has the value of `path`."""
    node: Any = root
    for key in path:
        if isinstance(node, OutOfOrderTableProxy):
            node = node._internal_container
        elif isinstance(node, Table):
            node = node.value
        if not isinstance(node, Container):
            return None
        node = node.item(key)
        if isinstance(node, InlineTable):
            return node
    return node if isinstance(node, Item) and not isinstance(node, Table | AoT) else None


def _comment(root: tomlkit.TOMLDocument, path: KeyPath) -> str:
    line = _line(root, path)
    return line.trivia.comment if line is not None else ""
