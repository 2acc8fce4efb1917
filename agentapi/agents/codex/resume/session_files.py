"""Find and read the files of a session, in every layout that Codex uses.

    sessions/2026/11/30/rollout-TIME-THREAD.jsonl             a new session
    sessions/2026/12/01/rollout-TIME-THREAD_SEGMENT.jsonl     its continuation after a rewind
    archived_sessions/rollout-TIME-THREAD.jsonl               archived
    ….jsonl.zst                                               any of them, compressed

A segment, like a fork of another session, holds only new lines. Its first line references the
rest: `history_base {thread_id, end_ordinal_exclusive}` names a file by its last id (the segment,
else the thread) and the first of its lines that no longer counts. A rewind starts a new segment:
rolled-back lines come after such an end, or in a segment that no other is based on. The newest
segment is the current one. docs/reference.md lists what each version does.
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
"""Codex's session ids are UUIDs."""
LIVE, ARCHIVED = "sessions", "archived_sessions"
LONGEST_LINE = 64 << 20
"""Bytes; longer lines are skipped. A compacted history takes megabytes."""
LONGEST_FIRST_LINE = 4 << 20
"""Bytes; `session_meta` carries the base instructions (30 kB seen)."""
_MAX_PARTS = 128
"""Codex's own limit."""
_COMPRESSED = ".zst"
_NAME = re.compile(
    rf"rollout-.+?-(?P<thread>{SESSION_ID.pattern})"
    rf"(?:_(?P<segment>{SESSION_ID.pattern}))?\.jsonl(?:\.zst)?"
)
_ORDINAL = re.compile(rb'\{[^{]*?"ordinal": ?(\d+)')


class DamagedRollout(OSError):
    """A compressed file is truncated or corrupt, or a part is missing; `strerror` has details."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EIO, message)


@dataclass(frozen=True, slots=True)
class HistoryBase:
    """The history that a file continues."""

    rollout: str
    """The last id in the name of that file."""
    end: int
    """The ordinal of the first line in it that no longer counts."""


@dataclass(frozen=True, slots=True)
class SessionMeta:
    """The metadata in the first line of a rollout."""

    id: str
    cwd: str
    version: str
    """Codex's version; empty where it is not recorded."""
    started: str
    """ISO 8601, UTC."""
    by_user: bool
    """Whether it is the user's session: sub-agents and hidden threads have rollouts, too."""
    base: HistoryBase | None = None


class RolloutName(NamedTuple):
    """The ids in a file's name."""

    thread: str
    """The session's id."""
    segment: str
    """Empty for a session's first file."""

    @property
    def rollout(self) -> str:
        """The id by which other files refer to this one."""
        return self.segment or self.thread


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a session's history, or the beginning of one."""

    path: Path
    end: int | None = None
    """The ordinal of the first line that no longer counts; None when all count."""


# -- names -----------------------------------------------------------------------------------------


def parse_name(path: Path) -> RolloutName | None:
    """Parse a file's name; None when it is not a rollout's."""
    match = _NAME.fullmatch(path.name)
    return RolloutName(match["thread"], match["segment"] or "") if match else None


def uncompressed_path(path: Path) -> Path:
    """Return a rollout's path without the suffix of a compressed file."""
    return path.with_name(path.name.removesuffix(_COMPRESSED))


def all_rollouts(codex_home: Path, folder: str = LIVE, containing: str = "") -> list[Path]:
    """List the rollouts in a folder of Codex's, by name and thus by age.

    Where a rollout exists both compressed and uncompressed, only the latter is listed, which is
    the one that Codex reads. `containing` filters by a part of the name."""
    found: dict[tuple[str, str], str] = {}
    for parent, _, names in os.walk(codex_home / folder):
        for name in names:
            if containing in name and _NAME.fullmatch(name):
                plain = name.removesuffix(_COMPRESSED)
                if name == plain or (plain, parent) not in found:
                    found[plain, parent] = name
    return [Path(parent, name) for (_, parent), name in sorted(found.items())]


def find_rollout(codex_home: Path, session_id: str) -> Path | None:
    """Return the newest rollout of a session; None when Codex has none.

    Archived ones count: Codex offers to restore such a session, or refuses it."""
    for folder in (LIVE, ARCHIVED):
        found = _of_session(codex_home, folder, session_id)
        if found:
            return found[-1]
    return None


def _of_session(codex_home: Path, folder: str, session_id: str) -> list[Path]:
    found = all_rollouts(codex_home, folder, containing=session_id)
    return [p for p in found if (name := parse_name(p)) and name.thread == session_id]


# -- reading ---------------------------------------------------------------------------------------


@contextmanager
def open_rollout(path: Path) -> Iterator[IO[bytes]]:
    """Open a rollout for reading, whether it is compressed or not.

    Raises `OSError`, and while reading, `DamagedRollout` where a compressed one is damaged."""
    plain = uncompressed_path(path)
    compressed = plain.with_name(plain.name + _COMPRESSED)
    if plain.exists() or not compressed.exists():
        with plain.open("rb") as file:
            yield file
        return
    zstd = _zstd()
    try:
        with zstd.ZstdFile(compressed) as file:
            yield cast(IO[bytes], file)
    except (zstd.ZstdError, EOFError) as error:
        raise DamagedRollout(f"the packed file is damaged ({error})") from error


def _zstd() -> Any:
    """Import the decompressor on first use: in the standard library from Python 3.14 on, else the
    backport."""
    return import_module("compression.zstd" if version_info >= (3, 14) else "backports.zstd")


def read_lines(path: Path, end: int | None = None) -> Iterator[bytes]:
    """Yield the lines of a rollout before the ordinal `end`; the last may lack its newline.

    Raises `OSError`."""
    with open_rollout(path) as file:
        for line in _bounded(file):
            if end is not None and not _is_before(line, end):
                return
            yield line


def _bounded(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)


def _is_before(line: bytes, end: int) -> bool:
    ordinal = _ORDINAL.match(line)
    return ordinal is None or int(ordinal[1]) < end


def read_meta(rollout: Path) -> SessionMeta | None:
    """Read the metadata in the first line; None while it is incomplete or not a session's.

    Raises `OSError`."""
    with open_rollout(rollout) as file:
        return parse_meta(file.readline(LONGEST_FIRST_LINE))


def parse_meta(line: bytes) -> SessionMeta | None:
    """Parse a rollout's first line; None when it is incomplete or not a session's."""
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


# -- sessions of several files ---------------------------------------------------------------------


def find_parts(rollout: Path) -> list[Part]:
    """Return the files of the history that `rollout` continues, and itself as the last.

    Raises `OSError`, and `DamagedRollout` when one is missing: Codex refuses such a session."""
    parts = [Part(rollout)]
    while True:
        meta = read_meta(parts[-1].path)
        if meta is None or meta.base is None:
            return parts[::-1]
        path = _find_file(rollout, meta.base.rollout)
        if path is None:
            raise DamagedRollout(f"what it is based on, {meta.base.rollout}, is missing")
        if len(parts) == _MAX_PARTS or path in [part.path for part in parts]:
            raise DamagedRollout("it is based on itself, or on too many others")
        parts.append(Part(path, meta.base.end))


def _find_file(near: Path, rollout_id: str) -> Path | None:
    """Find the file with this last id, in the same home as another file."""
    for folder in (LIVE, ARCHIVED):
        for path in all_rollouts(_home(near), folder, containing=rollout_id):
            name = parse_name(path)
            if name is not None and name.rollout == rollout_id:
                return path
    return None


def _home(rollout: Path) -> Path:
    for parent in rollout.parents:
        if parent.name in (LIVE, ARCHIVED):
            return parent.parent
    return rollout.parent


def descends_from(rollout: Path, session_id: str) -> bool:
    """Return whether this is that session, or a fork of it.

    A fork is based on the session, or, up to Codex 0.142, a copy that begins with the metadata of
    both. Raises `OSError`."""
    for part in find_parts(rollout):
        for line in read_lines(part.path):
            meta = parse_meta(line)
            if meta is None:
                break
            if meta.id == session_id:
                return True
    return False


def session_start(rollout: Path) -> datetime | None:
    """Return when the session, or the one that it was forked from, started. Raises `OSError`."""
    meta = read_meta(find_parts(rollout)[0].path)
    try:
        return parse_rfc3339(meta.started) if meta is not None else None
    except ValueError:
        return None


def session_lines(rollout: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield every line of a session, in the order written, and whether it was rolled back.

    Lines that the parent of a fork has after the fork count as rolled back. Raises `OSError`."""
    parts = find_parts(rollout)
    paths = [part.path for part in parts]
    name = parse_name(rollout)
    others = [path for path in _siblings(rollout, name) if path not in paths] if name else []
    abandoned = [Part(path, 0) for path in others]
    for part in sorted([*parts, *abandoned], key=lambda part: _sort_key(part.path, paths, name)):
        for line in read_lines(part.path):
            yield line, part.end is not None and not _is_before(line, part.end)


def _siblings(rollout: Path, name: RolloutName) -> list[Path]:
    home = _home(rollout)
    return [p for folder in (LIVE, ARCHIVED) for p in _of_session(home, folder, name.thread)]


def _sort_key(path: Path, parts: list[Path], own: RolloutName | None) -> tuple[bool, int, str]:
    """Sort other sessions' files first, in the order of the parts; then this one's by age."""
    name = parse_name(path)
    if own is None or name is None or name.thread != own.thread:
        return (False, parts.index(path), "")
    return (True, 0, path.name)
