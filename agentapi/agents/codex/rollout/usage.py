"""Collect token counts, context window and rate limits from a rollout.

The shape in `GET /session` and in a transcript's usage items; unknown values are null:

    {model,
     turn:    {input_tokens, cached_input_tokens, output_tokens, reasoning_output_tokens,
               total_tokens},
     total:   {the same, of the whole session},
     context: {window, used, left, left_percent},
     rate_limits: {primary: {used_percent, window_minutes, resets_at}, secondary: {…}}}

All are tokens but `left_percent`, the limits' percents, minutes, and `resets_at` (Unix seconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COUNTS = (
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "total_tokens",
)

Counts = dict[str, int]


class UsageMeter:
    """Accumulates the usage lines of a rollout."""

    def __init__(self) -> None:
        self.model: str | None = None
        self._window: int | None = None
        self._last: object = None  # the total of the last line
        self._total: Counts | None = None
        self._before: Counts = dict.fromkeys(COUNTS, 0)  # the total when the turn began
        self._used: int | None = None  # the context, by the last answer
        self._limits: dict[str, object] | None = None

    def turn_started(self, window: object = None) -> None:
        """Start a turn; `window` is the size of the model's context, if known."""
        if self._total is not None:
            self._before = self._total
        self._window = _count(window) or self._window

    def update(self, payload: Mapping[str, Any]) -> bool:
        """Apply a `token_count` line; return whether the total changed."""
        limits = payload.get("rate_limits")
        if isinstance(limits, dict) and (limits.get("primary") or limits.get("secondary")):
            self._limits = _limits(limits) or self._limits
        info = payload.get("info")
        if not isinstance(info, dict):
            return False
        reported = info.get("total_token_usage")
        if reported == self._last:  # repeated on many lines
            return False
        total = _counts(reported)
        if total is None:
            return False
        self._last, self._total = reported, total
        if isinstance(last := info.get("last_token_usage"), dict):
            self._used = _count(last.get("total_tokens")) or 0
        self._window = _count(info.get("model_context_window")) or self._window
        return True

    def snapshot(self) -> dict[str, object] | None:
        """Return the current usage; None before the first count."""
        if self._total is None:
            return None
        before = self._before
        turn = {name: max(0, count - before[name]) for name, count in self._total.items()}
        return {
            "model": self.model,
            "turn": turn,
            "total": dict(self._total),
            "context": self._context(),
            "rate_limits": self._limits,
        }

    def _context(self) -> dict[str, int | None]:
        window, used = self._window, self._used
        left = max(0, window - used) if window and used is not None else None
        percent = round(100 * left / window) if window and left is not None else None
        return {"window": window, "used": used, "left": left, "left_percent": percent}


def _counts(value: object) -> Counts | None:
    if not isinstance(value, dict):
        return None
    get = value.get
    return {name: count if type(count := get(name)) is int else 0 for name in COUNTS}


def _count(value: object) -> int | None:
    return value if type(value) is int else None  # a bool is none


def _limits(value: Mapping[str, Any]) -> dict[str, object] | None:
    found = {
        name: {
            key: window.get(key)
            for key in ("used_percent", "window_minutes", "resets_at", "resets_in_seconds")
            if key in window
        }
        for name in ("primary", "secondary")
        if isinstance(window := value.get(name), dict)
    }
    return dict(found) or None
