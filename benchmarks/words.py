"""Which words of an answer in Markdown a terminal shows, and whether a message shows just these.

A word is a run of letters, digits and their marks, or one sign of any other kind that is no layout.
Not counted, on neither side, because it is how Markdown is written or how a terminal draws it:

- ASCII punctuation, mathematical signs, bullets, check boxes, the lines of tables and rules
- blanks, line ends, control characters and everything else that takes no room

Counted on the answer's side only as what Markdown makes of it:

- the line that opens or closes a fence, and the name of its language: nothing
- an entity outside of code: the character that it means
- the target of a link or image, the label and definition of a reference, the `x` of a task: may be
  shown, and need not be
- a formula: either its source as it stands, or what is left of it without the names of commands
- a colour sequence: either nothing (the terminal obeys it) or its text without the escape character

Order counts, except where a terminal must break it: in answers with tables and formulas, whose
parts stand beside one another. Where a line breaks in a word, both halves count as the word.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_NO_ROOM = ("Cc", "Cf", "Me", "Mn")
_LAYOUT = frozenset("•◦▪—─━☑☐")
_HIDDEN = "\ue000"
"""Stands for a span of code while the rest is read."""
_FENCE = re.compile(r"^[ >]*(?P<sign>`{3,}|~{3,})(?P<info>[^`]*)$")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]*)\)")
_LINK = re.compile(r"(?<!\\)\[([^\]\[]*)\]\(([^)]*)\)")
_REFERENCE = re.compile(r"(?<!\\)\[([^\]\[^]+)\]\[([^\]]*)\]")
_DEFINITION = re.compile(r"^ {0,3}\[(?!\^)[^\]]+\]: (.*)$", re.MULTILINE)
_AUTOLINK = re.compile(r"<(\w+://[^>\s]+|[^@\s<>]+@[^>\s]+)>")
_TASK = re.compile(r"^(\s*[-*+]) \[[ xX]\] ", re.MULTILINE)
_TABLE = re.compile(r"^\s*\|?(?:\s*:?-+:?\s*\|)+\s*(?::?-+:?\s*)?$", re.MULTILINE)
_MATH = re.compile(r"\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\$[^$\n]+\$", re.DOTALL)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COMMAND = re.compile(r"\\(?:[a-zA-Z]+|,)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The words of an answer."""

    words: tuple[str, ...]
    """Those that must be shown, in their order."""
    optional: frozenset[str]
    """Those that may be shown as well: the words of link targets."""
    beside: bool
    """Whether parts of it stand beside one another."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a message differs from its answer."""

    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    """Words that are there, but not in their place."""

    @property
    def count(self) -> int:
        """How many words are wrong."""
        return len(self.missing) + len(self.added) + len(self.moved)

    @property
    def exact(self) -> bool:
        """Whether it does not differ."""
        return self.count == 0


def judge(sent: str, shown: str) -> Verdict:
    """Compare what a terminal shows with the Markdown that was sent."""
    found = words(shown)
    verdicts = [_compare(words_of(reading), found) for reading in _readings(sent)]
    return min(verdicts, key=lambda verdict: verdict.count)


def _readings(sent: str) -> list[str]:
    """The ways to show formulas and colour sequences."""
    readings = dict.fromkeys((sent, _MATH.sub(_drawn, sent)))
    return list(dict.fromkeys([*readings, *(_COLOUR.sub("", reading) for reading in readings)]))


def _drawn(formula: re.Match[str]) -> str:
    return _COMMAND.sub(" ", formula[0])


def _compare(wanted: Wanted, found: Sequence[str]) -> Verdict:
    if "".join(wanted.words) == "".join(found):
        return Verdict()
    missing, added = _differences(wanted.words, found)
    gone, new = Counter(missing), Counter(added)
    moved = gone & new
    gone, new = gone - moved, new - moved
    extra = [word for word in new.elements() if word not in wanted.optional]
    if wanted.beside and sorted("".join(gone.elements())) == sorted("".join(extra)):
        return Verdict()
    kept = () if wanted.beside else tuple(moved.elements())
    return Verdict(tuple(gone.elements()), tuple(extra), kept)


def words(text: str) -> tuple[str, ...]:
    """The words of plain text."""
    found: list[str] = []
    inside = False
    for character in unicodedata.normalize("NFKC", text):
        kind = unicodedata.category(character)
        if kind in _NO_ROOM:
            inside = inside and character not in "\n\t"
        elif kind[0] in "LNM":
            if inside:
                found[-1] += character
            else:
                found.append(character)
            inside = True
        else:
            inside = False
            if _is_sign(character, kind):
                found.append(character)
    return tuple(found)


def _is_sign(character: str, kind: str) -> bool:
    """Whether a character that is no letter counts all the same."""
    return not character.isascii() and kind[0] in "SP" and kind != "Sm" and character not in _LAYOUT


def words_of(markdown: str) -> Wanted:
    """The words that a terminal shows of Markdown."""
    found: list[str] = []
    optional: list[str] = []
    for text, is_code in _blocks(markdown):
        shown, targets = (text, "") if is_code else _shown(text)
        found += words(shown)
        optional += words(targets)
    beside = bool(_TABLE.search(markdown) or _MATH.search(markdown))
    return Wanted(tuple(found), frozenset(optional), beside)


def _blocks(markdown: str) -> Iterator[tuple[str, bool]]:
    """The text outside and inside of fences, in turn, without the fences; True for inside."""
    sign, lines = "", list[str]()
    for line in markdown.split("\n"):
        match = _FENCE.match(line)
        if match and not sign:
            yield "\n".join(lines), False
            sign, lines = match["sign"], []
        elif match and match["sign"].startswith(sign) and not match["info"].strip():
            yield "\n".join(lines), True
            sign, lines = "", []
        else:
            lines.append(line)
    yield "\n".join(lines), bool(sign)


def _shown(text: str) -> tuple[str, str]:
    """What is shown of Markdown without fences, and the targets of its links."""
    codes: list[str] = []
    targets: list[str] = []

    def hide(match: re.Match[str]) -> str:
        codes.append(match[2])
        return _HIDDEN

    def link(match: re.Match[str]) -> str:
        targets.append(match[2])
        return match[1]

    def definition(match: re.Match[str]) -> str:
        targets.append(match[1])
        return ""

    def task(match: re.Match[str]) -> str:
        targets.append("x")
        return match[1]

    def again(match: re.Match[str]) -> str:
        targets.append(match[1])
        return match[1]

    text = _CODE.sub(hide, text.replace(_HIDDEN, ""))
    text = _DEFINITION.sub(definition, text)
    text = _LINK.sub(link, _IMAGE.sub(link, text))
    text = _REFERENCE.sub(link, _AUTOLINK.sub(again, text))
    text = html.unescape(_TASK.sub(task, text))
    for code in codes:
        text = text.replace(_HIDDEN, code, 1)
    return text, " ".join(targets)


def _differences(wanted: Sequence[str], found: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words only in one and only in the other, apart from those that a line's end breaks."""
    missing: list[str] = []
    added: list[str] = []
    for tag, a, b, c, d in SequenceMatcher(None, wanted, found, autojunk=False).get_opcodes():
        if tag != "equal" and "".join(wanted[a:b]) != "".join(found[c:d]):
            missing += wanted[a:b]
            added += found[c:d]
    return missing, added
