"""Encode values for clients and files: compact JSON, and times as in RFC 3339."""

from __future__ import annotations

import json
from datetime import UTC, datetime

BATCH = 64 * 1024
"""Bytes given to a subscriber at once: what a socket's buffer takes in one write."""


def rfc3339(time: datetime) -> str:
    """Format a time for the wire: UTC, ending in `Z`."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime:
    """Parse a time into UTC; one without an offset is taken as UTC.

    Raises `ValueError` if it is not a time."""
    time = datetime.fromisoformat(text)
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"not a time in UTC: {text!r}") from error


def encode(value: object) -> bytes:
    """Encode as compact JSON in UTF-8; a lone surrogate, which UTF-8 lacks, becomes `?`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
