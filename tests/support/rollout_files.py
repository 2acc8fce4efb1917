"""Sessions on a disk in every form that Codex keeps, made or changed by tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backports.zstd import compress

BEGIN = datetime(2026, 11, 30, 22, 6, 20, tzinfo=UTC)
SAID = 3
"""How many ordinals an exchange takes."""


def pack(rollout: Path) -> Path:
    """Put the packed form in the place of a rollout, as Codex does with one that rests."""
    packed = rollout.with_name(rollout.name + ".zst")
    packed.write_bytes(compress(rollout.read_bytes()))
    rollout.unlink()
    return packed


def cut(file: Path, part: float = 0.6) -> None:
    """Keep only the beginning of a file."""
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * part)])


def insert_line(rollout: Path, line: bytes) -> None:
    """Put a line into the middle of a rollout."""
    lines = rollout.read_bytes().splitlines(keepends=True)
    lines.insert(len(lines) // 2, line)
    rollout.write_bytes(b"".join(lines))


def write_rollout(
    home: Path,
    thread: str,
    said: Sequence[str],
    *,
    segment: str = "",
    base: tuple[str, int] | None = None,
    begun: datetime = BEGIN,
    cwd: str = "/x",
    folder: str = "sessions/2026/11/30",
) -> Path:
    """A rollout with these user messages, each answered by itself in capitals.

    `base` is the last id in another file's name, and the ordinal behind what counts of it: an
    exchange takes `SAID` ordinals behind the first line's one."""
    time = begun.strftime("%Y-%m-%dT%H-%M-%S")
    name = f"rollout-{time}-{thread}{'_' * bool(segment)}{segment}.jsonl"
    path = home / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    first = base[1] if base else 0
    payload: dict[str, object] = {
        "id": thread,
        "timestamp": begun.isoformat(),
        "cwd": cwd,
        "cli_version": "0.169.0",
        "source": "cli",
        "thread_source": "user",
    }
    if base:
        payload["history_base"] = {"thread_id": base[0], "end_ordinal_exclusive": base[1]}
    records: list[tuple[str, dict[str, object]]] = [("session_meta", payload)]
    for text in said:
        records += [
            ("event_msg", {"type": "task_started", "turn_id": f"turn of {text}"}),
            ("event_msg", _item("UserMessage", text)),
            ("event_msg", _item("AgentMessage", text.upper())),
        ]
    lines = [
        json.dumps(
            {
                "timestamp": (begun + timedelta(seconds=number)).isoformat(),
                "ordinal": first + number,
                "type": kind,
                "payload": body,
            },
            separators=(",", ":"),
        )
        for number, (kind, body) in enumerate(records)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def end_after(exchanges: int, first: int = 0) -> int:
    """The ordinal behind so many exchanges of a file whose first line has the ordinal `first`."""
    return first + 1 + SAID * exchanges


def _item(kind: str, text: str) -> dict[str, object]:
    item = {"type": kind, "id": f"{kind} {text}", "content": [{"type": "text", "text": text}]}
    return {"type": "item_completed", "item": item}
