"""How values go to clients and into files: compact JSON, and times by RFC 3339."""

from __future__ import annotations

import json
from datetime import UTC, datetime

BATCH = 64 * 1024
"""Bytes that a subscriber is handed at once: what a socket's buffer takes in one write."""


def rfc3339(time: datetime) -> str:
    """The time as the wire has it: UTC, ending in `Z`."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """The time in UTC, which is also what one without an offset is taken for.

    Raises `ValueError` for what is no time."""
    time = datetime.fromisoformat(text)
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"not a time in UTC: {text!r}") from error


def encode(value: object) -> bytes:
    """Compact JSON in UTF-8; what has no UTF-8 (a lone surrogate) becomes `?`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
