"""The pid file: the process to signal."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

from agentapi.processes.locks import HeldFile, InUse, hold

_MAX_SIZE = 32
"""More bytes than any pid needs."""


class PidFileError(Exception):
    """The pid file cannot be used. The text is for the user."""


class PidFile:
    """Holds `path`, with this process's id in it, while the context lasts.

    Only a file that a running server holds is refused: the number in a stale file proves nothing,
    as another program may have it by now. A few bytes of anything are overwritten, too; a longer
    file is somebody's data and an error. At the end the file is removed, if it is still ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: HeldFile

    def __enter__(self) -> PidFile:
        """Take the file. Raises `PidFileError`."""
        try:
            self._held = hold(self.path)
            try:
                self._fill()
            except BaseException:
                self._held.release()
                raise
        except InUse as error:
            raise PidFileError(
                f"--pid-file: {self.path} names {error.who}: an agentapi that has this file;"
                " stop it or choose another file"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise PidFileError(f"--pid-file: cannot write {self.path}: {reason}") from error
        return self

    def _fill(self) -> None:
        if len(self._held.read(_MAX_SIZE + 1)) > _MAX_SIZE:
            raise PidFileError(f"--pid-file: {self.path} is not a pid file: choose another name")
        self._held.write(b"%d\n" % os.getpid())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            if self._held.read(_MAX_SIZE) == b"%d\n" % os.getpid():
                self._held.remove()
        self._held.release()
