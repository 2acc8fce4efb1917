"""Who has a file open: read from /proc, for the agent's own processes and for all."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def family(root: int) -> set[int]:
    """The process `root`, its descendants, and whatever else runs in the session that it leads."""
    parents: dict[int, int] = {}
    members = {root}
    for pid in _pids():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            parents[pid] = int(fields[1])
            if int(fields[3]) == root:
                members.add(pid)
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in members} - members
        members |= more
        grew = bool(more)
    return members


def open_for_writing(path: Path, pids: Iterable[int] | None = None) -> set[int]:
    """Which of these processes (of all, by default) have the file open for writing, as far as
    /proc lets us see."""
    try:
        status = path.stat()
    except OSError:
        return set()
    wanted = (status.st_dev, status.st_ino)
    return {pid for pid in (_pids() if pids is None else pids) if _has_open(pid, wanted)}


async def wait_for_end(pids: Iterable[int]) -> None:
    """Wait until one of the processes has ended; returns at once when one has already."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    watched: list[int] = []

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    try:
        for pid in pids:
            try:
                watched.append(os.pidfd_open(pid))
            except OSError:
                return
            loop.add_reader(watched[-1], end)
        await ended
    finally:
        for descriptor in watched:
            loop.remove_reader(descriptor)
            os.close(descriptor)


def _pids() -> Iterator[int]:
    names = (entry.name for entry in Path("/proc").iterdir())
    return (int(name) for name in names if name.isdigit())


def _has_open(pid: int, wanted: tuple[int, int]) -> bool:
    folder = Path(f"/proc/{pid}/fd")
    try:
        descriptors = list(folder.iterdir())
    except OSError:  # gone, or another user's
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            # The link's own mode says how the file was opened.
            if descriptor.lstat().st_mode & 0o200:
                status = descriptor.stat()
                if (status.st_dev, status.st_ino) == wanted:
                    return True
    return False
