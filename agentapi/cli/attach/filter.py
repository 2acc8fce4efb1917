"""Filters terminal queries out of an agent's output.

The server's emulator has answered them already. A second terminal's reply would be typed into the
agent; upstream's attach even waits for such replies.
"""

from __future__ import annotations

import re

_ST = rb"(?:\x07|\x1b\\)"
_QUERY = re.compile(
    rb"\x05"  # ENQ
    rb"|\x1b\[[?>=]?[\d;]*c"  # DA1, DA2, DA3
    rb"|\x1b\[\??[\d;]*n"  # DSR, CPR
    rb"|\x1b\[\?u"  # kitty keyboard flags
    rb"|\x1b\[>\d*q"  # XTVERSION
    rb"|\x1b\[\??[\d;]*\$p"  # DECRQM
    rb"|\x1b\[(?:1[13-6]|1[89]|2[01])(?:;\d*)*t"  # XTWINOPS reports
    rb"|\x1b\[[01]?x"  # DECREQTPARM
    rb"|\x1b\](?:4|5|1\d|2[12]|52|7501);[^\x07\x1b]*\?"
    + _ST  # OSC queries
    + rb"|\x1bP[+$]q[^\x07\x1b]*"
    + _ST  # XTGETTCAP, DECRQSS
    + rb"|\x1b_G[^\x07\x1b]*\ba=q[^\x07\x1b]*"
    + _ST  # kitty graphics
)
_UNFINISHED = re.compile(rb"\x1b(?:\[[\x20-\x3f]{0,64}|[\]P_][^\x07\x1b]{0,256}\x1b?)?\Z")


class QueryFilter:
    """Removes the queries from a terminal's byte stream, however it is split."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Return the next bytes without queries. An incomplete sequence at the end is held back
        until it is complete (a long string is no query)."""
        data = self._held + data
        unfinished = _UNFINISHED.search(data)
        self._held = unfinished[0] if unfinished else b""
        return _QUERY.sub(b"", data[: len(data) - len(self._held)])
