"""The agent's messages of one turn as a link tells them, until the exact items are there.

The same message comes from two sides: from the link while it grows, from the rollout when it is
whole, without an id that both know. Both tell a turn's messages in one order, so that an exact
message is the first of those on their way that it begins with.
"""

from __future__ import annotations


class Live:
    """The messages of the last turn that were told."""

    def __init__(self) -> None:
        self.heard = False
        """Whether anything was ever told."""
        self._turn = ""
        self._texts: dict[str, str] = {}
        self._covered: set[str] = set()

    def tell(self, turn: str, message: str, text: str) -> None:
        """How far a message has come; another turn voids the messages of the one before."""
        self.heard = True
        if turn != self._turn:
            self._turn = turn
            self._texts.clear()
            self._covered.clear()
        self._texts[message] = text

    def covered(self, text: str) -> None:
        """An exact message is there: it is on its way no more."""
        for message, growing in self._texts.items():
            if message not in self._covered and text.startswith(growing):
                self._covered.add(message)
                return

    def rest(self) -> list[str]:
        """The texts on their way, in order."""
        return [t for message, t in self._texts.items() if t and message not in self._covered]
