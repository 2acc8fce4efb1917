"""Convert the app-server's token counts and rate limits to the rollout's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentapi.agents.codex.rollout.usage import UsageMeter

_COUNTS = {
    "inputTokens": "input_tokens",
    "cachedInputTokens": "cached_input_tokens",
    "outputTokens": "output_tokens",
    "reasoningOutputTokens": "reasoning_output_tokens",
    "totalTokens": "total_tokens",
}
_LIMITS = {
    "usedPercent": "used_percent",
    "windowDurationMins": "window_minutes",
    "resetsAt": "resets_at",
}


class LinkUsage:
    """Accumulates the usage notifications; see `rollout/usage.py` for the shape."""

    def __init__(self) -> None:
        self._meter = UsageMeter()
        self._turn: object = None

    @property
    def model(self) -> str | None:
        """The model's name."""
        return self._meter.model

    @model.setter
    def model(self, name: str | None) -> None:
        self._meter.model = name

    def tokens(self, params: Mapping[str, Any]) -> None:
        """Apply a `thread/tokenUsage/updated`."""
        usage = params.get("tokenUsage")
        if not isinstance(usage, dict):
            return
        if params.get("turnId") != self._turn:
            self._turn = params.get("turnId")
            self._meter.turn_started()
        info = {
            "total_token_usage": _renamed(usage.get("total"), _COUNTS),
            "last_token_usage": _renamed(usage.get("last"), _COUNTS),
            "model_context_window": usage.get("modelContextWindow"),
        }
        self._meter.update({"info": info})

    def limits(self, params: Mapping[str, Any]) -> None:
        """Apply an `account/rateLimits/updated`."""
        limits = params.get("rateLimits")
        if isinstance(limits, dict):
            windows = {name: _renamed(limits.get(name), _LIMITS) for name in limits}
            self._meter.update({"rate_limits": windows})

    def snapshot(self) -> dict[str, object] | None:
        """Return the current usage; None before the first count."""
        return self._meter.snapshot()


def _renamed(value: object, names: Mapping[str, str]) -> dict[str, object] | None:
    if not isinstance(value, dict):
        return None
    return {new: value[old] for old, new in names.items() if old in value}
