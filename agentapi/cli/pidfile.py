"""The pid file: which process takes the signals."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

from agentapi.files import write_atomically

_LONGEST = 32
"""Bytes; no pid needs as many."""


class PidFileError(Exception):
    """The pid file cannot be ours; the text is for the user."""


class PidFile:
    """Holds `path` with this process's id while the context lasts.

    A live process's file is an error, a dead one's is overwritten, and so is a few bytes of
    rubbish; a longer file that names no process is somebody's data and an error. At the end the
    file goes, but only while it still names this process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> PidFile:
        """Take the file. Raises `PidFileError`."""
        try:
            holder = self._holder()
            if holder is not None and holder != os.getpid() and _alive(holder):
                raise PidFileError(
                    f"--pid-file: {self.path} names process {holder}, which is running:"
                    " stop it or choose another file"
                )
            write_atomically(self.path, b"%d\n" % os.getpid())
        except OSError as error:
            reason = error.strerror or str(error)
            raise PidFileError(f"--pid-file: cannot write {self.path}: {reason}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError, PidFileError):
            if self._holder() == os.getpid():
                self.path.unlink()

    def _holder(self) -> int | None:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if len(text) > _LONGEST:
            raise PidFileError(f"--pid-file: {self.path} is not a pid file: choose another name")
        return int(text) if text.strip().isdigit() else None


def _alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    if pid == 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b")")[2].split()[:1] != [b"Z"]
