"""Members of somebody else's JSON: each as the type that is wanted, empty when it is of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def as_text(value: object) -> str:
    """A string."""
    return value if isinstance(value, str) else ""


def as_object(value: object) -> Json:
    """An object."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """A list."""
    return value if isinstance(value, list) else []


def as_texts(values: object) -> list[str]:
    """The strings of a list."""
    return [value for value in as_list(values) if isinstance(value, str)]


def as_objects(values: object) -> list[Json]:
    """The objects of a list."""
    return [value for value in as_list(values) if isinstance(value, dict)]
