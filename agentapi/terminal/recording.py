"""Terminal recordings as asciicast v2 files, compatible with asciinema and its players.

A header line, then one line per event: `[seconds, "o", text]` for output, `"i"` for input, `"r"`
with `COLUMNSxROWS` for a resize, `"m"` for a marker.
"""

from __future__ import annotations

import codecs
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from agentapi.files import open_private

RESET = "\x1bc"
"""Clears a terminal, with all its modes (RIS)."""
RESTART_MARKER = "started again"
"""The marker between two runs of a program in one recording."""


def check_writable(path: Path) -> None:
    """Raise `OSError` if the file is not writable. It is created if missing, else unchanged."""
    os.close(open_private(path, os.O_WRONLY | os.O_APPEND))


class RecordedEvent(NamedTuple):
    """One line of a recording."""

    seconds: float
    """Seconds since the recording began."""
    kind: str
    data: str


class Recorder:
    """Writes a recording live; each event is in the file when its call returns.

    Input is not recorded, as people type secrets. The first failed write ends the recording with
    one call of `on_error`; it never raises into the recorded session.
    """

    def __init__(
        self,
        path: Path,
        columns: int,
        rows: int,
        *,
        on_error: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        begun: float | None = None,
    ) -> None:
        """Start a recording. An existing file is replaced, or continued if `begun` is the start
        time of an earlier run. Raises `OSError` if the file cannot be created."""
        self._path = path
        self._on_error = on_error
        self._clock = clock
        self.begun = clock() if begun is None else begun
        """The clock time at the beginning."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        descriptor = open_private(
            path, os.O_WRONLY | (os.O_TRUNC if begun is None else os.O_APPEND)
        )
        self._file: TextIO | None = os.fdopen(descriptor, "w", encoding="utf-8")
        if os.fstat(descriptor).st_size == 0:
            header = {"version": 2, "width": columns, "height": rows, "timestamp": int(time.time())}
            self._write(header | {"env": {"TERM": "xterm-256color"}})
        else:
            self._event("m", RESTART_MARKER)
            self._event("r", f"{columns}x{rows}")
            self._event("o", RESET)

    def output(self, data: bytes) -> None:
        """Record output."""
        self._event("o", self._decoder.decode(data))

    def resize(self, columns: int, rows: int) -> None:
        """Record a resize."""
        self._event("r", f"{columns}x{rows}")

    def close(self) -> None:
        """End the recording. Idempotent."""
        self._event("o", self._decoder.decode(b"", final=True))
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _event(self, kind: str, data: str) -> None:
        """Write one event, if any; incomplete characters stay in the decoder."""
        if data:
            self._write([round(self._clock() - self.begun, 6), kind, data])

    def _write(self, value: object) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(value, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            self._abandon(error)

    def _abandon(self, error: OSError) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError:
            pass  # the same trouble again: closing flushes what could not be written
        self._on_error(f"the recording {self._path} ends here: {error.strerror or error}")


class Tape:
    """A recording of successive runs of an agent on one timeline. A marker and a terminal reset
    separate them."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._begun: float | None = None
        self._full = False

    @classmethod
    def of(cls, record: Path | Tape) -> Tape:
        """Return the tape, or a new one for this file."""
        return record if isinstance(record, Tape) else cls(record)

    def run(self, columns: int, rows: int, on_error: Callable[[str], None]) -> Recorder | None:
        """Return the recorder for the next run, or None if an earlier one failed. Raises
        `OSError`."""
        if self._full:
            return None

        def end(why: str) -> None:
            self._full = True
            on_error(why)

        clock, begun = self._clock, self._begun
        recorder = Recorder(self._path, columns, rows, on_error=end, clock=clock, begun=begun)
        if begun is None:
            self._begun = recorder.begun
        return recorder


@dataclass(frozen=True, slots=True)
class Recording:
    """A parsed recording."""

    columns: int
    rows: int
    events: tuple[RecordedEvent, ...]

    def output(self) -> bytes:
        """Return all output of the program."""
        return "".join(event.data for event in self.events if event.kind == "o").encode()

    def segments(self) -> Iterator[tuple[bytes, tuple[int, int] | None]]:
        """Yield pieces of output, each with the (columns, rows) set after it, or None after the
        last."""
        part: list[str] = []
        for event in self.events:
            if event.kind == "o":
                part.append(event.data)
            elif event.kind == "r":
                yield "".join(part).encode(), _size(event.data)
                part = []
        yield "".join(part).encode(), None


def read_recording(path: Path) -> Recording:
    """Read an asciicast v2 file, ignoring a truncated last line.

    Raises `ValueError` with file and line if it is invalid.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    header = _header(path, lines[0])
    events = []
    for number, line in enumerate(lines[1:], 2):
        try:
            if line:
                events.append(_event(json.loads(line)))
        except ValueError as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}:{number}: not an asciicast event: {error}") from error
    return Recording(header["width"], header["height"], tuple(events))


def _header(path: Path, line: str) -> dict[str, int]:
    try:
        header = json.loads(line)
        if header["version"] != 2:
            raise ValueError(f"version {header['version']}, only 2 is known")
        if not all(
            isinstance(header[side], int) and header[side] > 0 for side in ("width", "height")
        ):
            raise ValueError("width and height must be positive")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}:1: not an asciicast v2 header: {error}") from error
    return dict(header)


def _event(value: object) -> RecordedEvent:
    match value:
        case [int() | float() as seconds, str() as kind, str() as data]:
            if kind == "r":
                _size(data)
            return RecordedEvent(float(seconds), kind, data)
    raise ValueError("expected [seconds, kind, text]")


def _size(text: str) -> tuple[int, int]:
    columns, separator, rows = text.partition("x")
    if not (separator and columns.isdecimal() and rows.isdecimal()):
        raise ValueError(f"expected COLUMNSxROWS, not {text!r}")
    return int(columns), int(rows)
