"""A screen that the profile cannot read: no input box, no known dialog, no sign of work.

Nothing may be typed there. While it changes the agent may be on its way somewhere; when it stands
still, it waits for a person, and its text is shown as a dialog without choices. The driver has the
clock.
"""

from __future__ import annotations

import re
from textwrap import dedent

from agentapi.conversation.profile import Reading
from agentapi.model.conversation import Dialog
from agentapi.model.frames import Frame

MOST_LINES = 40
"""Lines of such a screen that are shown, the lowest ones."""
TITLE = "The agent shows no input box and waits: answer it in the terminal, or send raw keys"
_PICTURE = re.compile(r"[\s⠀-⣿]*[⠁-⣿][\s⠀-⣿]*")
"""A line of a picture in braille, which may move for ever."""


def unknown_text(frame: Frame, reading: Reading) -> str:
    """The text of a screen that cannot be read, without pictures; empty for any other."""
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
    """Such a screen as a dialog that only a person at the terminal can answer."""
    return Dialog("", "other", TITLE, reason=text)
