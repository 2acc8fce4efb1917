"""Files that one process holds while it lives, and who that is.

A file is held by a record lock (fcntl_locking(2)). The kernel gives it back when the process ends,
however it ends, no child inherits it, it works over NFS, and the kernel knows whose it is: nothing
is believed of a number that stands in a file.

The lock has one trap: a process loses it when it closes any descriptor of the file. So whoever
holds a file reads and writes it through `HeldFile` alone.
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
"""What a file system without locks answers."""
_HELD = (errno.EACCES, errno.EAGAIN)

log = logging.getLogger(__name__)

_ours: set[tuple[int, int]] = set()
"""(device, inode) of what this process holds: the kernel refuses us nothing that is ours."""


class InUse(Exception):
    """Another process holds the file; the text says who."""

    def __init__(self, path: Path, pid: int) -> None:
        self.path, self.pid = path, pid
        self.who = describe(pid) if pid > 0 else "a process of another container or machine"
        super().__init__(f"{path} is in use by {self.who}")


class HeldFile:
    """A file that this process holds, until `release` or its end. Made by `hold`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        _ours.add(_inode(os.fstat(descriptor)))

    def read(self, limit: int) -> bytes:
        """The first `limit` bytes. Raises `OSError`."""
        return os.pread(self._descriptor, limit, 0)

    def write(self, data: bytes) -> None:
        """Replace what is in it; from then on it is for this user only. Raises `OSError`."""
        os.fchmod(self._descriptor, 0o600)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)

    def remove(self) -> None:
        """Remove the file if it still has its name, then release it."""
        try:
            if _same(self._descriptor, self.path):
                self.path.unlink()
        except OSError as error:
            log.debug("%s stays: %s", self.path, error)
        self.release()

    def release(self) -> None:
        """Let others have it. Idempotent."""
        if self._descriptor >= 0:
            _ours.discard(_inode(os.fstat(self._descriptor)))
            os.close(self._descriptor)
            self._descriptor = -1


def hold(path: Path) -> HeldFile:
    """Hold the file; it and its folder are made, for this user only, where they are missing.

    On a file system without locks nothing is held, and the log says so. Raises `InUse`, or
    `OSError` when it cannot be opened for writing."""
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
    """The process that holds the file; None when nobody does, or there is no such file. The caller
    closes it. Raises `InUse` when it is one that has no number here, and `OSError` when the file
    cannot be read or has no locks."""
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
                continue  # it ended just now
            if _locker(descriptor) == pid:  # alive throughout: the pidfd is of no later process
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
    """Lock the file; None when that went well, else who has it (0: not known to us)."""
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
                continue  # it was given back just now
            return max(pid, 0)
        return None


def _locker(descriptor: int) -> int | None:
    """The process whose lock is on the file, as far as it is of our namespace: else 0 or less."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(pid) or -1


def _same(descriptor: int, path: Path) -> bool:
    """Whether the file still has its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
