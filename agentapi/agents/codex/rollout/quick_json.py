"""Parse JSON twice as fast as the standard library, with the same results.

msgspec returns the same values as `json`, including integers of any length (a test compares them).
What it refuses, such as NaN, lone surrogates and invalid UTF-8, is passed to `json`, which thus
defines what is accepted.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec.json import Decoder

_decode = Decoder().decode


def loads(data: bytes | str) -> Any:
    """Parse JSON; invalid UTF-8 becomes replacement characters.

    Raises `ValueError` or `RecursionError` for invalid JSON."""
    try:
        return _decode(data)
    except (ValueError, RecursionError):
        return json.loads(data if isinstance(data, str) else data.decode("utf-8", "replace"))
