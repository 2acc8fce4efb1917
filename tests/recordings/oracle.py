"""What tmux shows for each recording, kept beside it: `python -m tests.recordings.oracle [CAST…]`.

Writes `NAME.tmux.txt` beside `NAME.cast`; when none is named, for all below this folder that have
none of their present bytes. tmux is
asked on a socket of its own, without anybody's configuration. The tests read only what is written
here, so they need no tmux; where we differ on purpose, `differences.py` says why.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agentapi.terminal.recording import Recording, read_recording

FOLDER = Path(__file__).parent
SCROLLBACK, SCREEN = "== scrollback ==", "== screen =="
PATIENCE = 20.0
"""Seconds that tmux may take to swallow one piece."""


class Tmux:
    """One pane of the wanted size on a private server, painting what it is fed."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self._socket = folder / "tmux"
        self._pipe = folder / "bytes"
        self._marks = 0
        os.mkfifo(self._pipe)
        configuration = folder / "tmux.conf"
        configuration.write_text(
            "set -g history-limit 20000\nset -g status off\nset -g scroll-on-clear off\n"
            "set -g default-terminal tmux-256color\nset -g remain-on-exit on\n"
        )
        painter = f"stty raw -echo; exec cat < '{self._pipe}'"
        size = ("-x", str(columns), "-y", str(rows))
        self._run("-f", str(configuration), "new-session", "-d", *size, "sh", "-c", painter)
        self._stdin = self._pipe.open("wb", buffering=0)

    def paint(self, data: bytes) -> None:
        """Feed the pane, and wait until tmux has read all of it."""
        self._marks += 1
        mark = f"painted-{self._marks}"
        self._stdin.write(data + f"\x1b]2;{mark}\x1b\\".encode())
        deadline = time.monotonic() + PATIENCE
        while self._run("display-message", "-p", "#{pane_title}").strip() != mark:
            if time.monotonic() > deadline:
                raise TimeoutError(f"tmux did not reach the end of piece {self._marks}")
            time.sleep(0.02)

    def resize(self, columns: int, rows: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> list[str]:
        return self._run("capture-pane", "-p").split("\n")[:-1]

    def scrollback(self) -> list[str]:
        count = int(self._run("display-message", "-p", "#{history_size}"))
        if not count:
            return []
        return self._run("capture-pane", "-p", "-S", "-", "-E", "-1").split("\n")[:-1]

    def close(self) -> None:
        self._stdin.close()
        self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-S", str(self._socket), *arguments]
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        environment.pop("TMUX", None)
        done = subprocess.run(command, env=environment, check=True, capture_output=True)
        return done.stdout.decode()


@contextmanager
def tmux(columns: int, rows: int) -> Iterator[Tmux]:
    """A pane for the time of a `with` block."""
    with tempfile.TemporaryDirectory() as folder:
        pane = Tmux(Path(folder), columns, rows)
        try:
            yield pane
        finally:
            pane.close()


def judge(recording: Recording) -> tuple[list[str], list[str]]:
    """tmux's scrollback and screen after a recording."""
    with tmux(recording.columns, recording.rows) as pane:
        for data, size in recording.segments():
            pane.paint(data)
            if size:
                pane.resize(*size)
        return pane.scrollback(), pane.screen()


def verdict_path(cast: Path) -> Path:
    return cast.with_suffix(".tmux.txt")


def fingerprint(recording: Recording) -> str:
    """Tells whether a verdict belongs to a recording: it may have been made anew."""
    pieces = repr((recording.columns, recording.rows, list(recording.segments())))
    return f"== of {hashlib.sha256(pieces.encode()).hexdigest()[:16]} =="


def write_verdict(cast: Path) -> None:
    recording = read_recording(cast)
    scrollback, screen = judge(recording)
    lines = [fingerprint(recording), SCROLLBACK, *scrollback, SCREEN, *screen]
    verdict_path(cast).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_verdict(cast: Path) -> tuple[str, list[str], list[str]]:
    """(fingerprint, scrollback, screen) as kept beside a recording."""
    lines = verdict_path(cast).read_text(encoding="utf-8").split("\n")[:-1]
    middle = lines.index(SCREEN)
    return lines[0], lines[2:middle], lines[middle + 1 :]


def needs_verdict(cast: Path) -> bool:
    if not verdict_path(cast).exists():
        return True
    return read_verdict(cast)[0] != fingerprint(read_recording(cast))


def all_casts() -> list[Path]:
    """Every recording, in the order of their paths."""
    return sorted(FOLDER.rglob("*.cast"))


def main(arguments: Sequence[str]) -> None:
    """Judge the named recordings, or every one whose verdict is missing or of older bytes."""
    for cast in [Path(name) for name in arguments] or filter(needs_verdict, all_casts()):
        write_verdict(cast)
        print(verdict_path(cast))


if __name__ == "__main__":
    main(sys.argv[1:])
