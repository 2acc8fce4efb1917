"""Follow a growing rollout file and parse what is appended. Does nothing while idle.

inotify reports changes on the event loop; then the new bytes are read. Besides growing, a file may
be truncated, replaced by another of the same name, removed, or not exist yet. The first two restart
the reading, which the batch reports (`restarted`); the others wait for the file to appear.

A file that continues the history of others starts with their entries, all in one batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agentapi.agents.codex.resume.session_files import (
    LONGEST_FIRST_LINE,
    Part,
    find_parts,
    parse_meta,
    read_lines,
)
from agentapi.agents.codex.rollout.parse import RolloutParser
from agentapi.model.items import Entry

CHUNK = 1 << 18
"""Bytes that are read and parsed at once."""
INLINE = 1 << 17
"""New bytes that are parsed on the event loop (about a millisecond); more go to a thread."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """The entries of one read."""

    entries: Sequence[Entry]
    """Added or changed, in order."""
    restarted: bool = False
    """Whether the file was read from the start again: all earlier entries are void."""
    caught_up: bool = False
    """Whether the end of the file was reached."""
    inherited: bool = False
    """Whether these are the entries of the files that this one continues."""


def read_rollout(path: Path) -> tuple[list[Entry], RolloutParser]:
    """Read all entries of a session, each in its last version; also return the parser (id,
    version, usage).

    Raises `OSError`."""
    parser = RolloutParser()
    entries = {entry.index: entry for entry in _read_parts(parser, find_parts(path))}
    return list(entries.values()), parser


def _read_parts(parser: RolloutParser, parts: Sequence[Part]) -> Iterator[Entry]:
    """Parse whole files, or their beginnings. Raises `OSError`."""
    for part in parts:
        rest = read_lines(part.path, part.end)
        while data := _chunk(rest):
            yield from _parse(parser, data)


def _chunk(rest: Iterator[bytes]) -> bytes:
    chunk: list[bytes] = []
    size = 0
    for line in rest:
        chunk.append(line)
        size += len(line)
        if size >= CHUNK:
            break
    return b"".join(chunk)


async def _wait_for_folder(folder: Path) -> None:
    """Wait until this folder exists: Codex creates it with a day's first session."""
    from asyncinotify import Inotify, Mask

    while (parent := _existing_parent(folder)) is not None:
        with Inotify() as inotify:
            inotify.add_watch(parent, Mask.CREATE | Mask.MOVED_TO | Mask.ONLYDIR)
            if _existing_parent(folder) == parent:
                await inotify.get()


def _existing_parent(folder: Path) -> Path | None:
    """Return the nearest existing parent of a missing folder; None when the folder exists."""
    return None if folder.is_dir() else next(p for p in folder.parents if p.is_dir())


def _parse(parser: RolloutParser, data: bytes) -> list[Entry]:
    """Parse many bytes without garbage collection, which would take a quarter of the time and
    find next to nothing."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return parser.feed(data)
    finally:
        if collects:
            gc.enable()


class RolloutFollower:
    """Follows one rollout and passes every batch to `on_batch`, on the event loop's thread.

    `start` returns at once; the existing content comes in batches, too. Call `stop` when done."""

    def __init__(self, path: Path, on_batch: Callable[[Batch], None]) -> None:
        self.path = path
        self.parser = RolloutParser()
        """Has Codex's version and the usage, as of the last batch."""
        self.session_id: str | None = None
        """The session in the file's first line."""
        self._on_batch = on_batch
        self._file: int | None = None
        self._inode: tuple[int, int] | None = None
        self._offset = 0
        self._caught_up = False
        self._restarted = False
        """Whether the next batch voids all earlier ones."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start following. Needs a running event loop."""
        self._task = asyncio.create_task(self._follow(), name=f"follow {self.path.name}")

    async def wait(self) -> None:
        """Wait until following ends: after `stop`, or when the folder cannot be watched."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def stop(self) -> None:
        """Stop following. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._close()

    async def _follow(self) -> None:
        from asyncinotify import Inotify, Mask

        here = Mask.CREATE | Mask.MOVED_TO | Mask.DELETE | Mask.MOVED_FROM | Mask.ONLYDIR
        try:
            await _wait_for_folder(self.path.parent)
            with Inotify() as inotify:
                # The folder's watch reports a new or replaced file, the file's watch its growth:
                # watching the folder for that would wake up for every other session, too.
                inotify.add_watch(self.path.parent, here)
                watch = self._watch(inotify, None)
                await self._catch_up()
                async for event in inotify:
                    if event.name is not None and event.name.name != self.path.name:
                        continue
                    if event.name is not None or Mask.IGNORED in event.mask:
                        watch = self._watch(inotify, watch)
                    await self._catch_up()
        except OSError as error:
            _log.error("the rollout %s cannot be followed: %s", self.path, error)

    def _watch(self, inotify: object, old: object) -> object:
        from asyncinotify import Mask

        if old is not None:
            with contextlib.suppress(OSError, ValueError):
                inotify.rm_watch(old)  # type: ignore[attr-defined]
        with contextlib.suppress(FileNotFoundError):
            return inotify.add_watch(self.path, Mask.MODIFY)  # type: ignore[attr-defined]
        return None

    # -- reading -----------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        self._restarted |= self._reopen()
        if self._file is None:
            return
        size = os.fstat(self._file).st_size
        if size < self._offset:
            self._restarted = True
            self._reset()
        if self._offset == 0 and not await self._inherit():
            return
        while data := os.pread(self._file, CHUNK, self._offset):
            self._offset += len(data)
            if len(data) > INLINE:
                entries = await asyncio.to_thread(_parse, self.parser, data)
            else:
                entries = self.parser.feed(data)
            self._emit(Batch(entries, caught_up=self._offset >= size))
            if len(data) > INLINE and not self._caught_up:
                # The entries of a long file are kept. A full collection that visits them blocks
                # the loop: 0.35 s for the 370,000 items of 200 MB, 0.02 s without them. Only on
                # the first read, since freezing also keeps existing garbage forever.
                gc.freeze()
        self._caught_up = True
        if self._restarted:
            self._emit(Batch((), caught_up=True))

    def _emit(self, batch: Batch) -> None:
        restarted, self._restarted = self._restarted, False
        self._on_batch(replace(batch, restarted=restarted))

    async def _inherit(self) -> bool:
        """Read the history that the file continues; return False while its first line, which
        references it, is incomplete."""
        assert self._file is not None
        head, end, _ = os.pread(self._file, LONGEST_FIRST_LINE, 0).partition(b"\n")
        if not end and len(head) < LONGEST_FIRST_LINE:
            return self._restarted and not head
        meta = parse_meta(head + end)
        self.session_id = meta.id if meta is not None else None
        if meta is None or meta.base is None:
            return True
        try:
            entries = await asyncio.to_thread(self._read_base)
        except OSError as error:
            _log.warning("the beginning of %s cannot be read: %s", self.path, error.strerror)
            self.parser = RolloutParser()
        else:
            self._emit(Batch(entries, inherited=True))
        return True

    def _read_base(self) -> list[Entry]:
        parts = find_parts(self.path)[:-1]
        return list({e.index: e for e in _read_parts(self.parser, parts)}.values())

    def _reopen(self) -> bool:
        """Open the file if it is a new one; return whether that voids what was read."""
        try:
            status = self.path.stat()
        except OSError:
            return False  # removed: its entries stay valid until there is another file
        inode = (status.st_dev, status.st_ino)
        if inode == self._inode:
            return False
        replaced = self._inode is not None
        self._close()
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            _log.warning("the rollout %s cannot be read: %s", self.path, error.strerror)
            return False
        self._inode = inode
        self._reset()
        return replaced

    def _reset(self) -> None:
        self.parser = RolloutParser()
        self._offset = 0

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = self._inode = None
