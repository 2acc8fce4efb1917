"""Take one source of evidence away from a replay: its sequences, or what a profile reads."""

from __future__ import annotations

import dataclasses
import re

from agentapi.agents.codex.screen.profile import CodexProfile
from agentapi.agents.registry import profile_for
from agentapi.conversation.profile import AgentProfile, Reading
from agentapi.conversation.status import Source
from agentapi.model.frames import Frame

NUMBERS = {Source.OSC: b"7501", Source.TITLE: b"[02]", Source.NOTIFICATION: b"9"}
"""The operating system commands that carry a source, as patterns. A bell alone is none."""
_UNFINISHED = re.compile(rb"\x1b(?:\][^\x07\x1b]*\x1b?)?\Z")


class Without:
    """An edit of the output: drops every OSC with these numbers, also one that is cut in two."""

    def __init__(self, *sources: Source) -> None:
        numbers = b"|".join(NUMBERS[source] for source in sources)
        self._sequence = re.compile(rb"\x1b\](?:" + numbers + rb");[^\x07\x1b]*(?:\x07|\x1b\\)")
        self._held = b""

    def __call__(self, data: bytes) -> bytes:
        data = self._held + data
        cut = _UNFINISHED.search(data)
        self._held = cut[0] if cut else b""
        return self._sequence.sub(b"", data.removesuffix(self._held))


class Blind(CodexProfile):
    """Sees composer, dialogs and conversation, but nothing that tells whether a turn is open."""

    def read(self, frame: Frame) -> Reading:
        """The reading without working line and marks of an end."""
        return dataclasses.replace(super().read(frame), working="", interrupted=False, ended=False)


def blind() -> AgentProfile:
    """Codex's profile without the screen's say."""
    codex = profile_for("codex")
    return Blind(**{field.name: getattr(codex, field.name) for field in dataclasses.fields(codex)})
