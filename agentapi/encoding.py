"""Values as they go to clients: compact JSON, and times by RFC 3339."""

from __future__ import annotations

import json
from datetime import UTC, datetime

BATCH = 64 * 1024
"""Bytes that a subscriber is handed at once: what a socket's buffer takes in one write."""


def rfc3339(time: datetime) -> str:
    """The time as the wire has it: UTC, ending in `Z`."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def encode(value: object) -> bytes:
    """Compact JSON in UTF-8; what has no UTF-8 (a lone surrogate) becomes `?`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
