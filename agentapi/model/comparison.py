"""Normal forms of text, to compare it with what a screen wrapped, indented or redrew."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_NO_WIDTH = ("Mn", "Me", "Cf")
"""The categories of characters that a terminal may join with others, move or drop."""


def squeeze(text: str) -> str:
    """Return text without white space and format characters, to compare across wraps and indents:
    a terminal shows neither."""
    return _INVISIBLE.sub("", text)


def visible(text: str) -> str:
    """Return text without anything that has no width on a screen: white space, accents, marks."""
    decomposed = unicodedata.normalize("NFD", squeeze(text))
    return "".join(char for char in decomposed if unicodedata.category(char) not in _NO_WIDTH)


def letters(text: str) -> str:
    """Return the letters and digits of a text: what a screen keeps of Markdown."""
    return "".join(filter(str.isalnum, text))
