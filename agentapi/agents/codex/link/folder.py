"""The private folder of an app-server's socket, and the folders of daemons that were killed.

The owner holds a lock on its folder, which the kernel gives back when the process ends, however it
ends: a folder of this user's that can be locked belongs to nobody, and the next link removes it.
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
_SHORT = "/tmp"

log = logging.getLogger(__name__)


class LinkFolder:
    """A folder of our own. Made by `make`; call `remove`."""

    def __init__(self, path: Path, lock: int | None) -> None:
        """`lock` is the descriptor that holds it; None where there are no locks."""
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls, environment: Mapping[str, str]) -> LinkFolder:
        """A new one, 0700, among the user's runtime files where that is short enough for a
        socket's path, else among the temporary ones. What others left is removed first.

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
                return cls(path, _locked(path))
            except (BlockingIOError, FileNotFoundError):
                continue  # another's sweep was quicker, and removes it
            except OSError as error:
                log.debug("%s is not locked: %s", path, error)
                return cls(path, None)

    @property
    def socket(self) -> Path:
        """Where the app-server listens."""
        return self.path / "s"

    def remove(self) -> None:
        """Remove it with what is in it. Idempotent."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def sweep(parent: Path) -> None:
    """Remove the folders of this user's in `parent` that no living process holds. Never raises."""
    try:
        found = list(parent.glob(f"{PREFIX}*"))
    except OSError:
        return
    for path in found:
        with contextlib.suppress(OSError):
            lock = _locked(path)
            log.debug("removing %s, which a killed daemon left", path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _locked(path: Path) -> int:
    """A descriptor that holds this folder of the user's.

    Raises `BlockingIOError` when somebody else does, `FileNotFoundError` when it is gone,
    `PermissionError` when it is another user's, or another `OSError` when it is no folder or on a
    file system without locks."""
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
    found = [Path(one) for one in wanted if one and len(os.fsencode(one)) <= room]
    return [*dict.fromkeys(one for one in found if one.is_absolute()), Path(_SHORT)]
