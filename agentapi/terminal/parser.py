"""Parse bytes into typed operations, without interpreting them.

The grammar is that of ECMA-48 as terminals read it (vt100.net's state table by Paul Williams):
controls inside a sequence act at once, CAN and SUB abort it, ESC starts a new one, a string ends
at ST, ESC or (OSC only) BEL. Text is UTF-8, so the C1 controls of eight bits do not exist: as
characters they are dropped, like DEL.

Three regular expressions find whole tokens; only what a read left unfinished, or a control inside
a sequence, goes character by character.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from agentapi.terminal.style import Groups

MAX_SEQUENCE = 256
"""Maximum characters of a control sequence; longer ones are consumed and ignored."""
MAX_STRING = 65_536
"""Maximum characters of a string (OSC, DCS …); longer ones are consumed and ignored."""
MAX_PARAMETER = 65_535
MAX_REMEMBERED = 64
"""Maximum characters of a control sequence whose parsed form is cached."""


class Control(NamedTuple):
    """A C0 control character."""

    char: str


class Escape(NamedTuple):
    """`ESC`, intermediates, final: `ESC ( 0` is `("(", "0")`."""

    intermediates: str
    final: str


class Csi(NamedTuple):
    """A control sequence. A missing parameter counts as 0."""

    key: str
    """Private prefix, intermediates and final together: `?h`, `!p`, `m`, ` q`."""
    parameters: tuple[int, ...]
    """The first number of each parameter; empty if there are none."""
    groups: Groups
    """All parameters with sub-parameters, for SGR."""


class String(NamedTuple):
    """A complete OSC (`]`), DCS (`P`), APC (`_`), PM (`^`) or SOS (`X`) string."""

    kind: str
    payload: str
    terminator: str
    """The received terminator, BEL or ST, for use in the reply."""


Operation = str | Control | Escape | Csi | String
"""A plain `str` is text to draw, without control characters."""

_TOKEN = re.compile(
    r"([^\x00-\x1f\x7f-\x9f]+)"
    r"|\x1b\[([ -?]{0,253}[@-~])"
    r"|([\x00-\x17\x19\x1c-\x1f])"
    r"|\x1b(?:\]([^\x00-\x1f]{0,4096})(\x07|\x1b\\)|([\x20-\x2f]*)([0-OQ-WYZ\\`-~]))"
)
_BODY = re.compile(r"([<-?]*)([0-9:;<-?]*)([ -/]*)([@-~])")
_PLAIN_NUMBERS = re.compile("[0-9:;]*")
_STRING_STARTS = "]PX^_"
_OSC_END = re.compile("[\x07\x18\x1a\x1b]")
_STRING_END = re.compile("[\x18\x1a\x1b]")
_CONTROLS = {char: Control(chr(char)) for char in range(0x20)}
_NO_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])


class Parser:
    """Turns a stream of bytes, split anywhere, into operations."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._sequence = ""
        """The unfinished escape sequence, from its ESC on."""
        self._string_kind = ""
        self._string_parts: list[str] = []
        self._string_length = 0

    def parse(self, data: bytes) -> Iterator[Operation]:
        """Yield the complete operations in `data`; keep the rest for the next call."""
        text = self._decode.decode(data)
        position = 0
        end = len(text)
        match = _TOKEN.match
        while position < end:
            if self._string_kind or self._sequence:
                resume = self._string if self._string_kind else self._slow
                operations, position = resume(text, position)
                yield from operations
                continue
            token = match(text, position)
            if token is None:
                position = self._start(text, position)
                continue
            position = token.end()
            which = token.lastindex
            if which == 1:
                yield token[1]
            elif which == 2:
                csi = _csi(token[2]) if len(token[2]) <= MAX_REMEMBERED else _read_csi(token[2])
                if csi is not None:
                    yield csi
            elif which == 3:
                yield _CONTROLS[ord(token[3])]
            elif which == 5:
                yield String("]", token[4].translate(_NO_CONTROLS), token[5])
            else:
                yield Escape(token[6], token[7])

    def pending(self) -> bytes:
        """Return the incomplete sequence, string or character read so far. Another parser can
        continue from it with the rest of the stream."""
        undecoded = self._decode.getstate()[0]
        held = self._sequence
        if self._string_kind:
            held = f"\x1b{self._string_kind}" + "".join(self._string_parts)
        return held.encode() + undecoded

    def _start(self, text: str, position: int) -> int:
        """Start a sequence that no token matched, or skip a stray character."""
        if text[position] == "\x1b":
            self._sequence = "\x1b"
        return position + 1

    def _slow(self, text: str, position: int) -> tuple[list[Operation], int]:
        """Continue inside an escape sequence, up to its end or the end of the text."""
        operations: list[Operation] = []
        while position < len(text):
            char = text[position]
            position += 1
            if char == "\x1b":
                self._sequence = char
            elif char in "\x18\x1a":
                self._sequence = ""
                break
            elif char < " ":
                operations.append(_CONTROLS[ord(char)])
            elif char <= "~" and self._extend(char, operations):
                break
        return operations, position

    def _extend(self, char: str, operations: list[Operation]) -> bool:
        """Add a printable character to the sequence; return whether that completed it."""
        sequence = self._sequence
        if len(sequence) == 1 and char in _STRING_STARTS:
            self._sequence, self._string_kind = "", char
            self._string_parts, self._string_length = [], 0
            return True
        is_csi = sequence.startswith("\x1b[")
        opens_csi = char == "[" and sequence == "\x1b"
        if opens_csi or char < ("@" if is_csi else "0"):
            if len(sequence) < MAX_SEQUENCE:
                self._sequence += char
            return False
        self._sequence = ""
        operation = _csi(sequence[2:] + char) if is_csi else Escape(sequence[1:], char)
        if operation is not None and len(sequence) < MAX_SEQUENCE:
            operations.append(operation)
        return True

    def _string(self, text: str, position: int) -> tuple[list[Operation], int]:
        """Continue inside a string, up to its end or the end of the text."""
        pattern = _OSC_END if self._string_kind == "]" else _STRING_END
        found = pattern.search(text, position)
        part = text[position : found.start() if found else len(text)]
        self._string_length += len(part)
        if self._string_length <= MAX_STRING:
            self._string_parts.append(part)
        else:
            self._string_parts = []
        if found is None:
            return [], len(text)
        return self._end_string(found[0]), found.end()

    def _end_string(self, by: str) -> list[Operation]:
        kind, self._string_kind = self._string_kind, ""
        payload = "".join(self._string_parts).translate(_NO_CONTROLS)
        self._string_parts = []
        if by == "\x1b":
            # The backslash of ST comes as an escape sequence of its own that means nothing.
            self._sequence = "\x1b"
        if by in "\x18\x1a" or self._string_length > MAX_STRING:
            return []
        return [String(kind, payload, "\x07" if by == "\x07" else "\x1b\\")]


def _read_csi(body: str) -> Csi | None:
    """Parse the text after `ESC [`; return None if it is malformed. A marker inside a parameter
    becomes -1 (only Gemini's query `CSI > 4 ; ? m` has one)."""
    match = _BODY.fullmatch(body)
    if match is None:
        return None
    prefix, numbers, intermediates, final = match.groups()
    if final != "m" and not _PLAIN_NUMBERS.fullmatch(numbers):
        return None
    groups = tuple(_group(part) for part in numbers.split(";")) if numbers else ()
    return Csi(prefix + intermediates + final, tuple(group[0] for group in groups), groups)


_csi = lru_cache(maxsize=4096)(_read_csi)
"""Programs repeat a few hundred different sequences, so caching is effective."""


def _group(part: str) -> tuple[int, ...]:
    """Parse `4:3` to `(4, 3)`; missing numbers are 0."""
    if part and not part[0].isdigit() and part[0] != ":":
        return (-1,)
    return tuple(
        min(int(number), MAX_PARAMETER) if number.isdigit() else 0 for number in part.split(":")
    )
