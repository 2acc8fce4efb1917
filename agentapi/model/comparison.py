"""The forms in which two texts are compared of which a screen wrapped, indented or redrew one."""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = re.compile(r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_NO_WIDTH = ("Mn", "Me", "Cf")
"""The categories of characters that a terminal may join with others, move or drop."""


def squeeze(text: str) -> str:
    """Text without white space and format characters, to compare across wraps and indents: a
    terminal shows neither."""
    return _UNSEEN.sub("", text)


def visible(text: str) -> str:
    """Text without anything that takes no room on a screen: white space, accents, marks."""
    apart = unicodedata.normalize("NFD", squeeze(text))
    return "".join(char for char in apart if unicodedata.category(char) not in _NO_WIDTH)


def letters(text: str) -> str:
    """The letters and digits of a text: what is left of Markdown when a screen draws it."""
    return "".join(filter(str.isalnum, text))
