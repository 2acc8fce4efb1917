"""Read members of untrusted JSON: each function returns an empty value for another type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def as_text(value: object) -> str:
    """Return a string."""
    return value if isinstance(value, str) else ""


def as_object(value: object) -> Json:
    """Return an object."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a list."""
    return value if isinstance(value, list) else []


def as_texts(values: object) -> list[str]:
    """Return the strings of a list."""
    return [value for value in as_list(values) if isinstance(value, str)]


def as_objects(values: object) -> list[Json]:
    """Return the objects of a list."""
    return [value for value in as_list(values) if isinstance(value, dict)]
