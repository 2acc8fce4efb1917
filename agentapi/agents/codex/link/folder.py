"""Create the private folder of an app-server's socket, and remove those of killed daemons.

The owner holds a lock on its folder, which the kernel releases when the process ends: a folder
of this user that can be locked is unused, and the next link removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

PREFIX = "agentapi-link-"
SOCKET_PATH_LIMIT = 107
"""Bytes of a Unix socket's path (unix(7): 108 with the NUL)."""
_FALLBACK = "/tmp"

log = logging.getLogger(__name__)


class LinkFolder:
    """A private folder, from `make` to `remove`."""

    def __init__(self, path: Path, lock: int | None) -> None:
        """`lock` is the descriptor of the lock; None where locks are not supported."""
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls, environment: Mapping[str, str]) -> LinkFolder:
        """Create a folder (0700) in the user's runtime folder, or in the temporary one where a
        socket's path would be too long. Folders of killed daemons are removed first.

        Raises `OSError`."""
        parents = _parents(environment)
        for parent in parents:
            sweep(parent)
        for parent in parents[:-1]:
            with contextlib.suppress(OSError):
                return cls._make_in(parent)
        return cls._make_in(parents[-1])

    @classmethod
    def _make_in(cls, parent: Path) -> LinkFolder:
        while True:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            try:
                return cls(path, _lock_folder(path))
            except (BlockingIOError, FileNotFoundError):
                continue  # removed by another process's sweep
            except OSError as error:
                log.debug("%s is not locked: %s", path, error)
                return cls(path, None)

    @property
    def socket(self) -> Path:
        """The app-server's socket."""
        return self.path / "s"

    def remove(self) -> None:
        """Remove the folder with its contents. Idempotent."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def sweep(parent: Path) -> None:
    """Remove this user's folders in `parent` that no living process has locked. Never raises."""
    try:
        found = list(parent.glob(f"{PREFIX}*"))
    except OSError:
        return
    for path in found:
        with contextlib.suppress(OSError):
            lock = _lock_folder(path)
            log.debug("removing %s, which a killed daemon left", path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _lock_folder(path: Path) -> int:
    """Lock this folder; return the descriptor of the lock.

    Raises `BlockingIOError` when another process has it, `FileNotFoundError` when it is gone,
    `PermissionError` when it is another user's, and another `OSError` when it is not a folder or
    on a file system without locks."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        held = os.fstat(descriptor)
        if held.st_uid != os.geteuid():
            raise PermissionError(f"{path} belongs to another user")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(held, os.lstat(path)):
            raise FileNotFoundError(f"{path} was replaced")
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _parents(environment: Mapping[str, str]) -> list[Path]:
    wanted = [environment.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()]
    room = SOCKET_PATH_LIMIT - len(f"/{PREFIX}12345678/s")
    found = [Path(folder) for folder in wanted if folder and len(os.fsencode(folder)) <= room]
    return [*dict.fromkeys(path for path in found if path.is_absolute()), Path(_FALLBACK)]
