"""Map directories to their Codex sessions, across restarts.

The tracking file has one line `directory|session id` for each directory, in the format of Coder's
module, so that each can read the other's. A directory may contain any character but a line break.
Directories are compared by real path: links and trailing slashes do not matter. Lines of other
directories are never touched. A replaced mapping is saved in `NAME.replaced`.

One daemon owns a directory's mapping for as long as it lives. It holds a lock that the kernel
releases when the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from agentapi.agents.codex.resume.session_files import SESSION_ID
from agentapi.files import make_private_folder, open_private, write_atomically
from agentapi.processes.identity import mark
from agentapi.processes.locks import HeldFile, InUse, hold

_EXIT_TEXT = re.compile(rf"codex resume ({SESSION_ID.pattern})(?![\w-])")
_MAX_MARK = 200
"""Bytes; the mark of a process takes fewer."""


def session_in_exit_text(screen: str) -> str | None:
    """Return the id that Codex prints when it exits (`codex resume ID`), possibly wrapped."""
    found = _EXIT_TEXT.findall(screen) or _EXIT_TEXT.findall(re.sub(r"\n\s*", "", screen))
    return found[-1] if found else None


class SessionTracker:
    """The mapping of one directory in the tracking file."""

    def __init__(self, file: Path, workdir: Path) -> None:
        self.file = Path(os.path.realpath(file))
        self.workdir = os.path.realpath(workdir)
        self._held: HeldFile | None = None
        self.owner = ""
        """A readable name of the owner, after `acquire` returned False."""

    # -- ownership ---------------------------------------------------------------------------

    def acquire(self) -> bool:
        """Lock the directory for this process; return False if another living one has it.

        Raises `OSError` when the lock file cannot be created."""
        if self._held is None:
            try:
                self._held = hold(self.lock_file)
            except InUse as error:
                self.owner = error.who
                return False
        return True

    @property
    def owned(self) -> bool:
        """Whether this process owns the directory."""
        return self._held is not None

    def release(self) -> None:
        """Release the directory. Idempotent."""
        if self._held is not None:
            self._held.release()
            self._held = None

    @property
    def lock_file(self) -> Path:
        """The file that the owner locks and records its agent in."""
        return self.file.parent / "locks" / f"{self._digest()}.lock"

    def record_agent(self, pid: int) -> None:
        """Record the agent's process, so that the next owner can await its end."""
        if self._held is not None:
            self._held.write(f"{mark(pid)}\n".encode())

    def previous_agent(self) -> int | None:
        """Return the agent that the previous owner recorded, if that process still lives."""
        with contextlib.suppress(OSError, ValueError):
            held = self._held  # only its owner's descriptor may read it
            data = held.read(_MAX_MARK) if held is not None else self.lock_file.read_bytes()
            recorded = data.decode().strip()
            pid = int(recorded.partition(" ")[0])
            if recorded == mark(pid):
                return pid
        return None

    def data_file(self, name: str) -> Path:
        """Return the path for this directory's data of one kind: readable and unique."""
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(self.workdir).name)[:40].strip("-.")
        return self.file.parent / "state" / f"{readable or 'root'}-{self._digest()}.{name}"

    def _digest(self) -> str:
        return hashlib.sha256(f"{self.file}\n{self.workdir}".encode()).hexdigest()[:12]

    # -- the mapping -------------------------------------------------------------------------

    def lookup(self) -> str | None:
        """Return the session of this directory. Raises `OSError` when the file cannot be read."""
        found = None
        for line in self._lines():
            directory, session = _split(line)
            if session and self._is_ours(directory):
                found = session
        return found

    def save(self, session: str) -> str | None:
        """Map the directory to this session, atomically; return the one it replaces, if any.

        Only the owner may call it. Raises `OSError`, and `ValueError` for a directory that the
        format cannot represent."""
        if "\n" in self.workdir or "\r" in self.workdir:
            raise ValueError(f"a line break in the name of {self.workdir!r}")
        with self._writing():
            before = self.lookup()
            if before == session:
                return None
            if before is not None:
                self._back_up(before)
            self._write([*self._others(), f"{self.workdir}|{session}"])
            return before

    def clear(self) -> None:
        """Remove the directory's mapping, atomically, after backing it up.

        Only the owner may call it. Raises `OSError`."""
        with self._writing():
            before = self.lookup()
            if before is not None:
                self._back_up(before)
                self._write(self._others())

    def _others(self) -> list[str]:
        return [line for line in self._lines() if not self._is_ours(_split(line)[0])]

    def _write(self, lines: Sequence[str]) -> None:
        data = "".join(f"{line}\n" for line in lines)
        write_atomically(self.file, data.encode("utf-8", "surrogateescape"))

    def _back_up(self, session: str) -> None:
        backup = self.file.with_name(self.file.name + ".replaced")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        descriptor = open_private(backup, os.O_WRONLY | os.O_APPEND)
        try:
            line = f"{now} {self.workdir}|{session}\n"
            os.write(descriptor, line.encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)

    def _lines(self) -> list[str]:
        try:
            text = self.file.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return []
        return [line for line in text.split("\n") if line]

    def _is_ours(self, directory: str) -> bool:
        return bool(directory) and (
            directory == self.workdir or os.path.realpath(directory) == self.workdir
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Lock the tracking file against other daemons' writes."""
        make_private_folder(self.file.parent)
        lock = self.file.with_name(self.file.name + ".lock")
        descriptor = open_private(lock, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for one small write
            yield
        finally:
            os.close(descriptor)


def _split(line: str) -> tuple[str, str]:
    """Split a line into directory and session; the session is empty where it is invalid.

    The last `|` separates them: a directory may contain some."""
    directory, _, session = line.rpartition("|")
    session = session.strip()
    return directory, session if SESSION_ID.fullmatch(session) else ""
