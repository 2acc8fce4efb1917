"""A value that a JSON schema accepts: for clients that want their answer in a form of their own."""

from __future__ import annotations

from typing import Any


def fill(schema: dict[str, Any], words: str) -> Any:
    """The least value of the schema: only what it requires (everything where it
    does not say), with `words` for every free text."""
    if values := schema.get("enum"):
        return values[0]
    if "const" in schema:
        return schema["const"]
    kind = _kind(schema)
    if kind == "object":
        properties = schema.get("properties") or {}
        wanted = schema.get("required", properties)
        return {name: fill(properties.get(name) or {}, words) for name in wanted}
    empty: dict[str, Any] = {"array": [], "boolean": False, "null": None}
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return empty.get(kind, words)


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    return str(kind[0] if isinstance(kind, list) else kind).lower()
