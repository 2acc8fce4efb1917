"""Unreadable screens: no input box, no known dialog, no working line.

Nothing may be typed there. A changing screen may be a transition. One that stands still waits for a
person, and its text is published as a dialog without choices. The driver has the clock.
"""

from __future__ import annotations

import re
from textwrap import dedent

from agentapi.conversation.profile import Reading
from agentapi.model.conversation import Dialog
from agentapi.model.frames import Frame

MOST_LINES = 40
"""Maximum number of lines shown, from the bottom."""
TITLE = "The agent shows no input box and waits: answer it in the terminal, or send raw keys"
_PICTURE = re.compile(r"[\s⠀-⣿]*[⠁-⣿][\s⠀-⣿]*")
"""A line of a braille picture, which may be animated."""


def unknown_text(frame: Frame, reading: Reading) -> str:
    """Return the text of an unreadable screen, without pictures; empty for any other."""
    if reading.composer is not None or reading.dialog is not None or reading.working:
        return ""
    kept: list[str] = []
    for line in reversed(frame.lines):
        if _PICTURE.fullmatch(line) or (not line and (not kept or not kept[-1])):
            continue
        kept.append(line)
        if len(kept) == MOST_LINES:
            break
    return dedent("\n".join(reversed(kept))).strip()


def unknown_dialog(text: str) -> Dialog:
    """Return a dialog that only a person at the terminal can answer."""
    return Dialog("", "other", TITLE, reason=text)
