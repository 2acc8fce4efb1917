"""Apply parsed operations to a screen, with extended versions of pyte's dispatch tables.

A table entry has the maximum number of parameters of a method; excess parameters and unknown
sequences are ignored, so no input can raise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from pyte.streams import Stream as PyteStream

from agentapi.model.frames import Bell, Signal, Title
from agentapi.terminal import replies
from agentapi.terminal.modes import SYNCHRONIZED, ModalScreen
from agentapi.terminal.parser import Control, Csi, Escape, Parser, String
from agentapi.terminal.signals import parse_osc

MAX_REPLIES = 65_536
"""Maximum bytes of pending replies; further queries are not answered."""
MAX_SIGNALS = 1_000
"""Maximum number of pending signals; the oldest are dropped."""
MAX_TITLES = 10
MAX_LINK = 2_083
"""Maximum characters of a link's address and parameters, as in VTE; longer links are ignored."""

Reply = Callable[..., str]

_METHODS: dict[str, tuple[str, int]] = {
    "`": ("cursor_to_column", 1),
    "E": ("cursor_down1", 1),
    "F": ("cursor_up1", 1),
    "f": ("cursor_position", 2),
    "H": ("cursor_position", 2),
    "r": ("set_margins", 2),
    "e": ("row_forward", 1),
    "I": ("tab_forward", 1),
    "Z": ("tab_back", 1),
    "S": ("scroll_up", 1),
    "T": ("scroll_down", 1),
    "^": ("scroll_down", 1),
    "s": ("save_cursor", 0),
    "u": ("restore_cursor", 0),
    "!p": ("soft_reset", 0),
    ">u": ("push_keyboard", 1),
    "<u": ("pop_keyboard", 1),
    "=u": ("set_keyboard", 2),
    " q": ("select_cursor_shape", 1),
    "?J": ("erase_in_display", 1),
    "?K": ("erase_in_line", 1),
}
"""CSI sequences that pyte lacks, maps differently, or calls with more than one parameter."""

_REPLIES: dict[str, tuple[Reply, int]] = {
    "c": (replies.primary_attributes, 1),
    ">c": (replies.secondary_attributes, 1),
    "=c": (replies.tertiary_attributes, 1),
    ">q": (replies.version, 1),
    "n": (replies.status, 1),
    "?n": (replies.private_status, 1),
    "?$p": (replies.private_mode, 1),
    "$p": (replies.ansi_mode, 1),
    "?u": (replies.keyboard, 0),
    "?m": (replies.key_modifiers, 1),
    "?S": (replies.graphics_attribute, 1),
}
_NOT_PLAIN = {"h", "l", "m", "c", "n", "'"}
"""Entries of pyte's table that are handled separately, or (HPA as `'`) are wrong."""


class Stream(PyteStream):
    """Applies bytes to a screen; collects replies and signals.

    `on_begin` and `on_end` are called around each synchronized update, before its first and after
    its last change.
    """

    csi = {  # noqa: RUF012
        key: name for key, name in PyteStream.csi.items() if key not in _NOT_PLAIN
    }
    escape = {**PyteStream.escape, "E": "next_line"}  # noqa: RUF012

    def __init__(
        self, screen: ModalScreen, on_begin: Callable[[], None], on_end: Callable[[], None]
    ) -> None:
        self.parser = Parser()
        self.replies = bytearray()
        self.signals: deque[Signal] = deque(maxlen=MAX_SIGNALS)
        self._screen = screen
        self._on_begin, self._on_end = on_begin, on_end
        self._last = ""
        self._titles: list[str] = []
        super().__init__(screen)

    def _initialize_parser(self) -> None:
        """Bind the tables to the screen, instead of creating pyte's parser."""
        screen = self._screen
        methods = {key: (name, 1) for key, name in self.csi.items()} | _METHODS
        self._csi: dict[str, tuple[Callable[..., Any], int]] = {
            key: (getattr(screen, name), arity) for key, (name, arity) in methods.items()
        }
        self._escapes = {key: getattr(screen, name) for key, name in self.escape.items()}
        self._escapes |= {
            "=": lambda: self._private(66, True),
            ">": lambda: self._private(66, False),
        }
        self._escapes["c"] = self._reset
        self._controls = {key: getattr(screen, name) for key, name in self.basic.items()}
        self._controls["\x07"] = lambda: self.signals.append(Bell())

    def feed(self, data: bytes) -> None:  # type: ignore[override]
        """Process a piece of output, split anywhere."""
        draw = self._screen.draw
        for operation in self.parser.parse(data):
            if type(operation) is str:
                draw(operation)
                self._last = operation[-1]
                continue
            if type(operation) is Csi:
                self._control_sequence(operation)
            elif type(operation) is Control:
                act = self._controls.get(operation.char)
                if act:
                    act()
            elif type(operation) is Escape:
                self._escape_sequence(operation)
            elif type(operation) is String:
                self._string(operation)
            self._last = ""

    # CSI

    def _control_sequence(self, csi: Csi) -> None:
        key = csi.key
        if key == "m":
            self._screen.select_graphic_rendition(csi.groups)
            return
        known = self._csi.get(key)
        if known:
            if key == "T" and len(csi.parameters) > 1:
                return  # highlight mouse tracking
            act, arity = known
            act(*csi.parameters[:arity])
        elif key in _REPLIES:
            self._answer(key, csi.parameters)
        else:
            self._other_sequence(key, csi.parameters)

    def _other_sequence(self, key: str, parameters: tuple[int, ...]) -> None:
        if key in ("?h", "?l"):
            for mode in parameters:
                self._private(mode, key == "?h")
        elif key in ("h", "l"):
            (self._screen.set_mode if key == "h" else self._screen.reset_mode)(*parameters)
        elif key == "b" and self._last:
            count = parameters[0] if parameters else 1
            self._screen.draw(self._last * min(max(count, 1), self._screen.columns * 4))
        elif key == "t":
            self._window(parameters)
        elif key == ">m":
            if -1 in parameters:  # Gemini's spelling of XTQMODKEYS
                self._reply(replies.key_modifiers(self._screen, parameters[0]))
            else:
                self._screen.select_key_modifiers(*parameters[:2])

    def _private(self, mode: int, on: bool) -> None:
        if mode == SYNCHRONIZED and on and not self._screen.has(mode):
            self._on_begin()
        was = self._screen.has(mode)
        (self._screen.set_mode if on else self._screen.reset_mode)(mode, private=True)
        if mode == SYNCHRONIZED and was and not on:
            self._on_end()

    def _window(self, parameters: tuple[int, ...]) -> None:
        kind = parameters[0] if parameters else 0
        if kind == 22:
            self._titles = [*self._titles, self._screen.title][-MAX_TITLES:]
        elif kind == 23 and self._titles:
            self._title(self._titles.pop())
        else:
            self._reply(replies.window(self._screen, kind))

    # The other kinds

    def _escape_sequence(self, escape: Escape) -> None:
        between, final = escape
        if not between:
            act = self._escapes.get(final)
            if act:
                act()
        elif between in ("(", ")"):
            self._screen.define_charset(final, mode=between)
        elif between == "#" and final == "8":
            self._screen.alignment_display()

    def _reset(self) -> None:
        synchronized = self._screen.has(SYNCHRONIZED)
        self._screen.reset()
        self._titles = []
        if synchronized:
            self._on_end()

    def _string(self, string: String) -> None:
        self._reply(replies.string(self._screen, string))
        if string.kind != "]":
            return
        if string.payload.startswith("8;"):
            self._link(string.payload[2:])
        signal = parse_osc(string.payload)
        if isinstance(signal, Title):
            self._title(signal.text)
        elif signal is not None:
            self.signals.append(signal)

    def _link(self, link: str) -> None:
        """OSC 8: parameters and address; an empty address ends a link."""
        kept = link if link.partition(";")[2] and len(link) <= MAX_LINK else ""
        self._screen.set_link(kept)

    def _title(self, text: str) -> None:
        self._screen.set_title(text)
        self.signals.append(Title(text))

    def _answer(self, key: str, parameters: tuple[int, ...]) -> None:
        reply, arity = _REPLIES[key]
        self._reply(reply(self._screen, *parameters[:arity]))

    def _reply(self, answer: str) -> None:
        if len(self.replies) + len(answer) <= MAX_REPLIES:
            self.replies += answer.encode()
