"""Find the processes that have a file open, and wait until one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from agentapi.processes.tree import pids as all_pids


def open_for_writing(path: Path, pids: Iterable[int] | None = None) -> set[int]:
    """Return which of these processes (default: all) have the file open for writing, as far as
    /proc shows."""
    try:
        status = path.stat()
    except OSError:
        return set()
    wanted = (status.st_dev, status.st_ino)
    return {pid for pid in (all_pids() if pids is None else pids) if _has_open(pid, wanted)}


async def wait_for_end(pids: Iterable[int]) -> None:
    """Wait until one of the processes has ended, which may already be the case."""
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


def _has_open(pid: int, wanted: tuple[int, int]) -> bool:
    folder = Path(f"/proc/{pid}/fd")
    try:
        descriptors = list(folder.iterdir())
    except OSError:  # gone, or another user's
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            # The mode of the link itself shows how the file was opened.
            if descriptor.lstat().st_mode & 0o200:
                status = descriptor.stat()
                if (status.st_dev, status.st_ino) == wanted:
                    return True
    return False
