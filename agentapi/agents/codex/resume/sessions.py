"""Which Codex session belongs to which directory, kept over restarts.

The tracking file has one line `directory|session id` for each directory: the format of Coder's
module, which can read ours and whose lines we read. A directory may hold any character but a line
break; it is compared by its real path, so that links and trailing slashes do not matter. Lines of
other directories are never touched. A mapping that is replaced is kept in `NAME.replaced`.

One daemon owns a directory's mapping, for as long as it lives: it holds a lock that the kernel
gives back when the process ends, however it ends.
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
_LONGEST_NOTE = 200
"""Bytes; a noted process takes fewer."""


def session_in_exit_text(screen: str) -> str | None:
    """The id that Codex names as it ends (`codex resume ID`), perhaps wrapped by the terminal."""
    found = _EXIT_TEXT.findall(screen) or _EXIT_TEXT.findall(re.sub(r"\n\s*", "", screen))
    return found[-1] if found else None


class SessionTracker:
    """The mapping of one directory in the tracking file."""

    def __init__(self, file: Path, workdir: Path) -> None:
        self.file = Path(os.path.realpath(file))
        self.workdir = os.path.realpath(workdir)
        self._held: HeldFile | None = None
        self.owner = ""
        """Who owned the directory when `own` said no, for a person."""

    # -- ownership ---------------------------------------------------------------------------

    def own(self) -> bool:
        """Take the directory for this process, if no other living one has it.

        Raises `OSError` when there is no place for the lock."""
        if self._held is None:
            try:
                self._held = hold(self.lock_file)
            except InUse as error:
                self.owner = error.who
                return False
        return True

    @property
    def owned(self) -> bool:
        """Whether the directory is this process's."""
        return self._held is not None

    def release(self) -> None:
        """Give the directory back. Idempotent."""
        if self._held is not None:
            self._held.release()
            self._held = None

    @property
    def lock_file(self) -> Path:
        """What the owner holds, and where it notes its agent."""
        return self.file.parent / "locks" / f"{self._digest()}.lock"

    def note_agent(self, pid: int) -> None:
        """Note the agent's process, so that the next owner can await its end."""
        if self._held is not None:
            self._held.write(f"{mark(pid)}\n".encode())

    def last_agent(self) -> int | None:
        """The agent that the owner before noted, if that very process still lives."""
        with contextlib.suppress(OSError, ValueError):
            held = self._held  # only its owner's descriptor may read it
            note = held.read(_LONGEST_NOTE) if held is not None else self.lock_file.read_bytes()
            words = note.decode().strip()
            pid = int(words.partition(" ")[0])
            if words == mark(pid):
                return pid
        return None

    def data_file(self, name: str) -> Path:
        """Where this directory's own data of a kind goes: readable, and unlike any other's."""
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(self.workdir).name)[:40].strip("-.")
        return self.file.parent / "state" / f"{readable or 'root'}-{self._digest()}.{name}"

    def _digest(self) -> str:
        return hashlib.sha256(f"{self.file}\n{self.workdir}".encode()).hexdigest()[:12]

    # -- the mapping -------------------------------------------------------------------------

    def known(self) -> str | None:
        """The session of this directory. Raises `OSError` when the file cannot be read."""
        found = None
        for line in self._lines():
            directory, session = _split(line)
            if session and self._is_ours(directory):
                found = session
        return found

    def remember(self, session: str) -> str | None:
        """Map the directory to this session, in one step; the session it had before, if another.

        Call it only as the owner. Raises `OSError`, and `ValueError` for a directory that the
        format cannot hold."""
        if "\n" in self.workdir or "\r" in self.workdir:
            raise ValueError(f"a line break in the name of {self.workdir!r}")
        with self._writing():
            before = self.known()
            if before == session:
                return None
            if before is not None:
                self._keep_aside(before)
            self._write([*self._others(), f"{self.workdir}|{session}"])
            return before

    def forget(self) -> None:
        """Map the directory to no session, in one step; the one it had is kept in the file of
        those replaced. Call it only as the owner. Raises `OSError`."""
        with self._writing():
            before = self.known()
            if before is not None:
                self._keep_aside(before)
                self._write(self._others())

    def _others(self) -> list[str]:
        return [line for line in self._lines() if not self._is_ours(_split(line)[0])]

    def _write(self, lines: Sequence[str]) -> None:
        data = "".join(f"{line}\n" for line in lines)
        write_atomically(self.file, data.encode("utf-8", "surrogateescape"))

    def _keep_aside(self, session: str) -> None:
        kept = self.file.with_name(self.file.name + ".replaced")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        descriptor = open_private(kept, os.O_WRONLY | os.O_APPEND)
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
        """One writer of the tracking file at a time, among all daemons of the machine."""
        make_private_folder(self.file.parent)
        lock = self.file.with_name(self.file.name + ".lock")
        descriptor = open_private(lock, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for one small write
            yield
        finally:
            os.close(descriptor)


def _split(line: str) -> tuple[str, str]:
    """The directory and the session of a line; an empty session where there is no usable one.
    The last `|` counts: a directory may have some, an id has none."""
    directory, _, session = line.rpartition("|")
    session = session.strip()
    return directory, session if SESSION_ID.fullmatch(session) else ""
