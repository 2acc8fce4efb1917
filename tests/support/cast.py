"""Recordings: asciicast v2 files, and what was typed and what the model sent beside them."""

from __future__ import annotations

import codecs
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CastWriter:
    """Collects a recording; `save` writes it. Times are seconds since the start."""

    def __init__(self, columns: int, rows: int) -> None:
        self.header = {
            "version": 2,
            "width": columns,
            "height": rows,
            "env": {"TERM": "xterm-256color"},
        }
        self.typed: list[dict[str, Any]] = []
        """`{time, what, text}` for each thing typed, in order."""
        self._events: list[tuple[float, str, str]] = []
        self._start = time.monotonic()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def output(self, data: bytes) -> None:
        """The program wrote."""
        if text := self._decode(data):
            self._events.append((self._now(), "o", text))

    def input(self, text: str, what: str) -> None:
        """Somebody typed."""
        at = self._now()
        self._events.append((at, "i", text))
        self.typed.append({"time": at, "what": what, "text": text})

    def save(self, path: Path, notes: dict[str, Any]) -> None:
        """Write `path` (`.cast`) and the notes, with what was typed, beside it (`.json`)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(self.header)]
        lines += [json.dumps(event, ensure_ascii=False) for event in self._events]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        text = json.dumps({**notes, "typed": self.typed}, ensure_ascii=False, indent=1)
        path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")

    def _now(self) -> float:
        return round(time.monotonic() - self._start, 4)


@dataclass(frozen=True, slots=True)
class Cast:
    """A recording, read back."""

    path: Path
    columns: int
    rows: int
    events: list[tuple[float, str, str]]
    """(seconds, `o` or `i`, text)."""
    notes: dict[str, Any]
    """The file beside it: version, scenario, command, typed, sent …; empty where there is none."""

    @property
    def name(self) -> str:
        """`version/scenario`, for test ids."""
        return f"{self.path.parent.name}/{self.path.stem}"

    def output(self) -> bytes:
        """All that the program wrote."""
        return "".join(text for _, kind, text in self.events if kind == "o").encode()

    def chunks(self) -> Iterator[tuple[float, bytes]]:
        """What it wrote, read by read."""
        return ((at, text.encode()) for at, kind, text in self.events if kind == "o")


def load_cast(path: Path) -> Cast:
    """Read a recording and its notes."""
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    size = json.loads(header)
    beside = path.with_suffix(".json")
    notes = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    events = [(float(at), str(kind), str(text)) for at, kind, text in map(json.loads, rows)]
    return Cast(path, size["width"], size["height"], events, notes)


def all_casts(root: Path) -> list[Path]:
    """Every recording under a folder, in the order of their names."""
    return sorted(root.rglob("*.cast"))
