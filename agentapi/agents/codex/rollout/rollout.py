"""A rollout file, followed as it grows: bytes on a disk in, entries out, nothing when idle.

The kernel says when the file changed (inotify, on the event loop); then what is new is read. Four
things may happen to a file besides growing, and each is seen: it is shortened, it is replaced by
another of its name, it is removed, and it does not exist yet. The first two start the reading over,
which the batch says (`restarted`); the others wait for the file to be there again.

A file that goes on with the history in others begins with their entries, all in one batch.
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
"""Up to so many new bytes are parsed on the event loop (about a millisecond), more in a thread."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read at once."""

    entries: Sequence[Entry]
    """Added or changed, in order."""
    restarted: bool = False
    """Whether the file began anew: all entries before are void."""
    caught_up: bool = False
    """Whether this was all that the file held."""
    inherited: bool = False
    """Whether this is what stands in the files that this one goes on with."""


def read_rollout(path: Path) -> tuple[list[Entry], RolloutParser]:
    """The entries of a whole session, each in its last version, and the parser (id, version,
    usage).

    Raises `OSError`."""
    parser = RolloutParser()
    entries = {entry.index: entry for entry in _read_parts(parser, find_parts(path))}
    return list(entries.values()), parser


def _read_parts(parser: RolloutParser, parts: Sequence[Part]) -> Iterator[Entry]:
    """Feed whole files, or their beginnings. Raises `OSError`."""
    for part in parts:
        rest = read_lines(part.path, part.end)
        while data := _chunk(rest):
            yield from _parse(parser, data)


def _chunk(rest: Iterator[bytes]) -> bytes:
    taken: list[bytes] = []
    size = 0
    for line in rest:
        taken.append(line)
        size += len(line)
        if size >= CHUNK:
            break
    return b"".join(taken)


async def _existing(folder: Path) -> None:
    """Wait until there is this folder: Codex makes it with a day's first session."""
    from asyncinotify import Inotify, Mask

    while (above := _above(folder)) is not None:
        with Inotify() as inotify:
            inotify.add_watch(above, Mask.CREATE | Mask.MOVED_TO | Mask.ONLYDIR)
            if _above(folder) == above:
                await inotify.get()


def _above(folder: Path) -> Path | None:
    """The nearest folder above one that does not exist; None when it does."""
    return None if folder.is_dir() else next(p for p in folder.parents if p.is_dir())


def _parse(parser: RolloutParser, data: bytes) -> list[Entry]:
    """Feed many bytes. Next to nothing of what they become is garbage, and looking for it over and
    over takes a quarter of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return parser.feed(data)
    finally:
        if collects:
            gc.enable()


class RolloutFollower:
    """Follows one rollout and hands every batch to `on_batch`, from the event loop's thread.

    `start` returns at once; what the file holds already comes in batches too. `stop` when done."""

    def __init__(self, path: Path, on_batch: Callable[[Batch], None]) -> None:
        self.path = path
        self.parser = RolloutParser()
        """Knows Codex's version and the usage, as of the last batch."""
        self.session_id: str | None = None
        """What the file's own first line says."""
        self._on_batch = on_batch
        self._file: int | None = None
        self._inode: tuple[int, int] | None = None
        self._offset = 0
        self._caught_up = False
        self._restarted = False
        """Whether the next batch voids what was read before."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._task = asyncio.create_task(self._follow(), name=f"follow {self.path.name}")

    async def wait(self) -> None:
        """Wait until it follows no more: after `stop`, or when the folder cannot be watched."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def stop(self) -> None:
        """End. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._close()

    async def _follow(self) -> None:
        from asyncinotify import Inotify, Mask

        here = Mask.CREATE | Mask.MOVED_TO | Mask.DELETE | Mask.MOVED_FROM | Mask.ONLYDIR
        try:
            await _existing(self.path.parent)
            with Inotify() as inotify:
                # A watch of the folder tells of a file that comes or is replaced, one of the file
                # that it grows: a folder's watch would also wake for every other session's growth.
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
            self._begin()
        if self._offset == 0 and not await self._inherit():
            return
        while data := os.pread(self._file, CHUNK, self._offset):
            self._offset += len(data)
            if len(data) > INLINE:
                entries = await asyncio.to_thread(_parse, self.parser, data)
            else:
                entries = self.parser.feed(data)
            self._tell(Batch(entries, caught_up=self._offset >= size))
            if len(data) > INLINE and not self._caught_up:
                # What a long file became stays. A full collection that looks at all of it again
                # halts the loop: 0.35 s for the 370,000 items of 200 MB, 0.02 s without them.
                # Only at first: what is garbage by then is frozen, too, and never collected.
                gc.freeze()
        self._caught_up = True
        if self._restarted:
            self._tell(Batch((), caught_up=True))

    def _tell(self, batch: Batch) -> None:
        restarted, self._restarted = self._restarted, False
        self._on_batch(replace(batch, restarted=restarted))

    async def _inherit(self) -> bool:
        """Read what the file goes on with; False while it does not say whether there is any."""
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
            self._tell(Batch(entries, inherited=True))
        return True

    def _read_base(self) -> list[Entry]:
        parts = find_parts(self.path)[:-1]
        return list({e.index: e for e in _read_parts(self.parser, parts)}.values())

    def _reopen(self) -> bool:
        """Open the file of this name if it is another one; whether that voids what was read."""
        try:
            status = self.path.stat()
        except OSError:
            return False  # gone: what it said stays said until there is another
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
        self._begin()
        return replaced

    def _begin(self) -> None:
        self.parser = RolloutParser()
        self._offset = 0

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = self._inode = None
