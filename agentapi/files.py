"""Files of ours: private, and never half written."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file's content as one step: afterwards it is the old or the new, never a part.

    Mode 0600; folders that are missing are made with 0700. Raises `OSError`, leaving the old."""
    make_private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        temporary.unlink(missing_ok=True)  # of a process that had our number and was killed
        descriptor = os.open(temporary, flags, 0o600)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def open_private(path: Path, flags: int) -> int:
    """Open a file for writing that others must not read: a new one gets 0600, and so does one of
    ours that was open to others. What is no regular file (a pipe, a terminal) stays as it is.

    Raises `OSError`."""
    descriptor = os.open(path, os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) and mode & 0o077:
        with contextlib.suppress(PermissionError):  # another user's, who lets us write
            os.fchmod(descriptor, 0o600)
    return descriptor


def make_private_folder(folder: Path) -> None:
    """Make the folder and what is missing above it, for this user only. Raises `OSError`."""
    for missing in reversed(_missing(folder)):
        missing.mkdir(mode=0o700, exist_ok=True)


def _missing(folder: Path) -> list[Path]:
    return [one for one in (folder, *folder.parents) if not one.exists()]
