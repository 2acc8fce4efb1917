"""The files that hold a session, in every form in which Codex keeps one.

    sessions/2026/11/30/rollout-TIME-THREAD.jsonl             as it was begun
    sessions/2026/12/01/rollout-TIME-THREAD_SEGMENT.jsonl     gone on with after a rewind
    archived_sessions/rollout-TIME-THREAD.jsonl               put away
    ….jsonl.zst                                               any of them, packed

A segment, and a fork of another session, hold only what is new. Their first line says where the
rest is: `history_base {thread_id, end_ordinal_exclusive}` names a file by its last id (the segment,
else the thread), and the first of its lines that does not count any more. A rewind begins another
segment, so that what it took back stands behind such an end or in a segment that none is based on.
The newest segment is what goes on. docs/reference.md says which version does what.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from sys import version_info
from typing import IO, Any, NamedTuple, cast

from agentapi.model.encoding import parse_rfc3339

SESSION_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""What Codex gives its sessions: UUIDs."""
LIVE, ARCHIVED = "sessions", "archived_sessions"
LONGEST_LINE = 64 << 20
"""Bytes; what is longer is passed over. A history that was compacted takes megabytes."""
LONGEST_FIRST_LINE = 4 << 20
"""Bytes; `session_meta` carries the base instructions (30 kB seen)."""
_MOST_PARTS = 128
"""As in Codex."""
_PACKED = ".zst"
_NAME = re.compile(
    rf"rollout-.+?-(?P<thread>{SESSION_ID.pattern})"
    rf"(?:_(?P<segment>{SESSION_ID.pattern}))?\.jsonl(?:\.zst)?"
)
_ORDINAL = re.compile(rb'\{[^{]*?"ordinal": ?(\d+)')


class DamagedRollout(OSError):
    """A record that is not whole: a packed file that is cut or broken, or a part that is missing.
    `strerror` says what is wrong."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EIO, what)


@dataclass(frozen=True, slots=True)
class HistoryBase:
    """Where the history stands that a file goes on with."""

    rollout: str
    """The last id in the name of that file."""
    end: int
    """The ordinal of the first line in it that does not count."""


@dataclass(frozen=True, slots=True)
class SessionMeta:
    """The first line of a rollout."""

    id: str
    cwd: str
    version: str
    """Codex's, empty where it does not say."""
    started: str
    """ISO 8601, UTC."""
    by_user: bool
    """Whether a person talks in it: sub-agents and hidden threads have rollouts of their own."""
    base: HistoryBase | None = None


class RolloutName(NamedTuple):
    """What the name of a file says."""

    thread: str
    """The session's id."""
    segment: str
    """Empty for the file that the session began with."""

    @property
    def rollout(self) -> str:
        """The id by which other files refer to this one."""
        return self.segment or self.thread


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a session's history, or its beginning."""

    path: Path
    end: int | None = None
    """The ordinal of the first line that does not count; None when all of them do."""


# -- names -----------------------------------------------------------------------------------------


def parse_name(path: Path) -> RolloutName | None:
    """What a file's name says; None when it is no rollout's."""
    found = _NAME.fullmatch(path.name)
    return RolloutName(found["thread"], found["segment"] or "") if found else None


def unpacked(path: Path) -> Path:
    """The name of a rollout without the mark that it is packed."""
    return path.with_name(path.name.removesuffix(_PACKED))


def all_rollouts(codex_home: Path, folder: str = LIVE, having: str = "") -> list[Path]:
    """The rollouts in a folder of Codex's, by name and thus by age, each once: where it is there
    packed and unpacked, Codex reads the unpacked one. `having` is a text in the name."""
    found: dict[tuple[str, str], str] = {}
    for parent, _, names in os.walk(codex_home / folder):
        for name in names:
            if having in name and _NAME.fullmatch(name):
                plain = name.removesuffix(_PACKED)
                if name == plain or (plain, parent) not in found:
                    found[plain, parent] = name
    return [Path(parent, name) for (_, parent), name in sorted(found.items())]


def find_rollout(codex_home: Path, session_id: str) -> Path | None:
    """The rollout that a session goes on in; None when Codex has none. Archived ones count: Codex
    asks whether to take such a session back, or refuses it."""
    for folder in (LIVE, ARCHIVED):
        found = _of_session(codex_home, folder, session_id)
        if found:
            return found[-1]
    return None


def _of_session(codex_home: Path, folder: str, session_id: str) -> list[Path]:
    found = all_rollouts(codex_home, folder, having=session_id)
    return [p for p in found if (name := parse_name(p)) and name.thread == session_id]


# -- reading ---------------------------------------------------------------------------------------


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Read a rollout, packed or not, whichever of the two forms is there.

    Raises `OSError`; what is read from it, `DamagedRollout` where a packed one is not whole."""
    plain = unpacked(path)
    packed = plain.with_name(plain.name + _PACKED)
    if plain.exists() or not packed.exists():
        with plain.open("rb") as file:
            yield file
        return
    zstd = _zstd()
    try:
        with zstd.ZstdFile(packed) as file:
            yield cast(IO[bytes], file)
    except (zstd.ZstdError, EOFError) as error:
        raise DamagedRollout(f"the packed file is damaged ({error})") from error


def _zstd() -> Any:
    """The module that unpacks, loaded when there is something to unpack: Python's own from 3.14 on,
    before it the same as a package."""
    return import_module("compression.zstd" if version_info >= (3, 14) else "backports.zstd")


def lines(path: Path, end: int | None = None) -> Iterator[bytes]:
    """The lines of a rollout up to the one with the ordinal `end`; the last may lack its end.

    Raises `OSError`."""
    with opened(path) as file:
        for line in _bounded(file):
            if end is not None and not _comes_before(line, end):
                return
            yield line


def _bounded(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)


def _comes_before(line: bytes, end: int) -> bool:
    ordinal = _ORDINAL.match(line)
    return ordinal is None or int(ordinal[1]) < end


def read_meta(rollout: Path) -> SessionMeta | None:
    """What the first line says; None while there is no whole one, or one that is no session's.

    Raises `OSError`."""
    with opened(rollout) as file:
        return parse_meta(file.readline(LONGEST_FIRST_LINE))


def parse_meta(line: bytes) -> SessionMeta | None:
    """What a first line says; None when it is not whole, or no session's."""
    payload = _payload(line, "session_meta") if line.endswith(b"\n") else None
    if payload is None or not SESSION_ID.fullmatch(str(payload.get("id"))):
        return None
    return SessionMeta(
        id=payload["id"],
        cwd=str(payload.get("cwd") or ""),
        version=str(payload.get("cli_version") or ""),
        started=str(payload.get("timestamp") or ""),
        by_user=isinstance(payload.get("source", "cli"), str)
        and payload.get("thread_source") in (None, "user"),
        base=_base(payload.get("history_base")),
    )


def _base(value: object) -> HistoryBase | None:
    if not isinstance(value, dict):
        return None
    rollout, end = value.get("thread_id"), value.get("end_ordinal_exclusive")
    if isinstance(rollout, str) and SESSION_ID.fullmatch(rollout) and isinstance(end, int):
        return HistoryBase(rollout, end)
    return None


def _payload(line: bytes, kind: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("type") != kind:
        return None
    payload = record.get("payload")
    return payload if isinstance(payload, dict) else None


# -- what belongs together -------------------------------------------------------------------------


def parts_of(rollout: Path) -> list[Part]:
    """The files that make up the history which goes on in `rollout`, itself the last.

    Raises `OSError`, `DamagedRollout` when one is missing: Codex refuses such a session."""
    parts = [Part(rollout)]
    while True:
        meta = read_meta(parts[-1].path)
        if meta is None or meta.base is None:
            return parts[::-1]
        path = _named(rollout, meta.base.rollout)
        if path is None:
            raise DamagedRollout(f"what it is based on, {meta.base.rollout}, is missing")
        if len(parts) == _MOST_PARTS or path in [part.path for part in parts]:
            raise DamagedRollout("it is based on itself, or on too many others")
        parts.append(Part(path, meta.base.end))


def _named(near: Path, rollout: str) -> Path | None:
    """The file of this last id, in the same home as another file."""
    for folder in (LIVE, ARCHIVED):
        for path in all_rollouts(_home(near), folder, having=rollout):
            name = parse_name(path)
            if name is not None and name.rollout == rollout:
                return path
    return None


def _home(rollout: Path) -> Path:
    for parent in rollout.parents:
        if parent.name in (LIVE, ARCHIVED):
            return parent.parent
    return rollout.parent


def stems_from(rollout: Path, session_id: str) -> bool:
    """Whether this is that session, or a fork of it: based on it, or, up to Codex 0.142, a copy,
    which begins with the first lines of both. Raises `OSError`."""
    for part in parts_of(rollout):
        for line in lines(part.path):
            meta = parse_meta(line)
            if meta is None:
                break
            if meta.id == session_id:
                return True
    return False


def begun(rollout: Path) -> datetime | None:
    """When the session began, or the one that it is a fork of. Raises `OSError`."""
    meta = read_meta(parts_of(rollout)[0].path)
    try:
        return parse_rfc3339(meta.started) if meta is not None else None
    except ValueError:
        return None


def history(rollout: Path) -> Iterator[tuple[bytes, bool]]:
    """Every line of a session, in the order in which it was written, and whether it was taken back
    by a rewind (or was said in the session that this one is a fork of, behind the fork).

    Raises `OSError`."""
    parts = parts_of(rollout)
    known = [part.path for part in parts]
    name = parse_name(rollout)
    own = [path for path in _siblings(rollout, name) if path not in known] if name else []
    abandoned = [Part(path, 0) for path in own]
    for part in sorted([*parts, *abandoned], key=lambda part: _order(part.path, known, name)):
        for line in lines(part.path):
            yield line, part.end is not None and not _comes_before(line, part.end)


def _siblings(rollout: Path, name: RolloutName) -> list[Path]:
    home = _home(rollout)
    return [p for folder in (LIVE, ARCHIVED) for p in _of_session(home, folder, name.thread)]


def _order(path: Path, known: list[Path], own: RolloutName | None) -> tuple[bool, int, str]:
    """Other sessions' files first, as they follow each other; then those of this one by age."""
    name = parse_name(path)
    if own is None or name is None or name.thread != own.thread:
        return (False, known.index(path), "")
    return (True, 0, path.name)
