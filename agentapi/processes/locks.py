"""Files locked by one process for its lifetime.

The record lock (fcntl_locking(2)) is released by the kernel when the process ends in any way, is
not inherited, works over NFS, and has a known owner: no pid stored in a file has to be trusted.

The lock has one trap: a process loses it when it closes any descriptor of the file. So a held file
must only be read and written through `HeldFile`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import struct
from pathlib import Path

from agentapi.files import make_private_folder
from agentapi.processes.identity import Process, describe

_FLOCK = struct.Struct("hhqqi4x")
"""`struct flock` where a file offset has 64 bits: l_type, l_whence, l_start, l_len, l_pid."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""Errors of a file system without locks."""
_HELD = (errno.EACCES, errno.EAGAIN)

log = logging.getLogger(__name__)

_ours: set[tuple[int, int]] = set()
"""(device, inode) of our held files: the kernel would grant us the same lock again."""


class InUse(Exception):
    """Another process holds the file; the message names it."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path, self.pid = path, pid
        self.who = describe(pid) if pid > 0 else "a process of another container or machine"
        super().__init__(f"{path} is in use by {self.who}")


class HeldFile:
    """A file held by this process until `release` or exit. Created by `hold`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        _ours.add(_inode(os.fstat(descriptor)))

    def read(self, limit: int) -> bytes:
        """Return the first `limit` bytes. Raises `OSError`."""
        return os.pread(self._descriptor, limit, 0)

    def write(self, data: bytes) -> None:
        """Replace the content and make the file private. Raises `OSError`."""
        os.fchmod(self._descriptor, 0o600)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)

    def remove(self) -> None:
        """Remove the file if its path is unchanged, then release it."""
        try:
            if _same(self._descriptor, self.path):
                self.path.unlink()
        except OSError as error:
            log.debug("%s stays: %s", self.path, error)
        self.release()

    def release(self) -> None:
        """Release the lock. Idempotent."""
        if self._descriptor >= 0:
            _ours.discard(_inode(os.fstat(self._descriptor)))
            os.close(self._descriptor)
            self._descriptor = -1


def hold(path: Path) -> HeldFile:
    """Lock a file for this process; create it and its folder, private, if missing.

    On a file system without locks this only logs a warning. Raises `InUse`, or `OSError` if the
    file cannot be opened for writing."""
    path = Path(os.path.realpath(path))
    make_private_folder(path.parent)
    while True:
        with contextlib.suppress(FileNotFoundError):
            if _inode(path.stat()) in _ours:
                raise InUse(path, os.getpid())
        descriptor = _open(path)
        try:
            holder = _lock(descriptor, path)
            if holder is None and _same(descriptor, path):
                return HeldFile(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if holder is not None:
            raise InUse(path, holder)


def holder(path: Path) -> Process | None:
    """Return the process that holds the file, if any. The caller must close it.

    Raises `InUse` if the holder has no pid in our namespace, and `OSError` if the file cannot be
    read or its file system has no locks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        while pid := _locker(descriptor):
            if pid < 0:
                raise InUse(path, pid)
            try:
                process = Process(pid)
            except ProcessLookupError:
                continue  # it has just ended
            if _locker(descriptor) == pid:  # still the holder, so the pidfd is its own
                return process
            process.close()
        return None
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor


def _lock(descriptor: int, path: Path) -> int | None:
    """Lock the file; return None, or the pid of the holder (0: unknown)."""
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                log.warning(
                    "nothing keeps another server from using %s at the same time: its file system"
                    " has no locks (%s)", path, error.strerror
                )  # fmt: skip
                return None
            if error.errno not in _HELD:
                raise
            try:
                pid = _locker(descriptor)
            except OSError:
                return 0
            if pid is None:
                continue  # it has just been released
            return max(pid, 0)
        return None


def _locker(descriptor: int) -> int | None:
    """Return the pid of the lock's owner; 0 or less if it is outside our namespace."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(pid) or -1


def _same(descriptor: int, path: Path) -> bool:
    """Return whether the path still refers to the file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
