"""Creates minimal values for JSON schemas: some clients require structured answers."""

from __future__ import annotations

from typing import Any


def fill(schema: dict[str, Any], text: str) -> Any:
    """Return a minimal value for the schema: only required members (all if it does not list them),
    and `text` for every free text."""
    if values := schema.get("enum"):
        return values[0]
    if "const" in schema:
        return schema["const"]
    kind = _kind(schema)
    if kind == "object":
        properties = schema.get("properties") or {}
        wanted = schema.get("required", properties)
        return {name: fill(properties.get(name) or {}, text) for name in wanted}
    empty: dict[str, Any] = {"array": [], "boolean": False, "null": None}
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return empty.get(kind, text)


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    return str(kind[0] if isinstance(kind, list) else kind).lower()
