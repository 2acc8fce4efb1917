"""Streams of terminal output for property tests: text and sequences in any mixture."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

TEXT = [
    "plain text ",
    "word",
    "漢字",
    "⚠️ ",
    "👨‍👩‍👧",
    "🇩🇪",
    "e\u0301",
    "─│┌",
    "\r\n",
    "\n",
    "\r",
    "\t",
    "\b",
    "\x0e",
    "\x0f",
]
FINALS = "@ABCDEFGHIJKLMPSTXZ`abdefghlmnrstu"
SPECIAL = [
    "\x1b7",
    "\x1b8",
    "\x1bD",
    "\x1bE",
    "\x1bM",
    "\x1bH",
    "\x1b(0",
    "\x1b(B",
    "\x1b)0",
    "\x1b[!p",
    "\x1b#8",
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?6h",
    "\x1b[?6l",
    "\x1b[?7l",
    "\x1b[?7h",
    "\x1b[?25l",
    "\x1b[4h",
    "\x1b[4l",
    "\x1b[3g",
    "\x1b[2;38;5;208m",
    "\x1b[1;4:3;48:2::1:2:3m",
    "\x1b[m",
    "\x1b[>5u",
    "\x1b[<u",
    "\x1b]0;a title\x07",
    "\x1b]2;a title\x1b\\",
    "\x1b]8;;https://example.org\x1b\\",
    "\x1bPq payload\x1b\\",
    "\x1b_Gi=1,a=q;AAAA\x1b\\",
]

numbers = st.integers(0, 30).map(str) | st.just("")
sequences = st.builds(
    lambda parameters, final: f"\x1b[{';'.join(parameters)}{final}",
    st.lists(numbers, max_size=3),
    st.sampled_from(FINALS),
)
pieces = st.sampled_from(TEXT) | st.sampled_from(SPECIAL) | sequences
streams = st.lists(pieces, max_size=40).map(lambda parts: "".join(parts).encode())
"""What a program might print, nothing unfinished in it."""


def splits(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in pieces, cut at these places (modulo its length)."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]
