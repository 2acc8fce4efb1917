"""Terminal modes: private modes, the alternate screen, saved cursors, keyboard flags."""

from __future__ import annotations

from typing import NamedTuple

from pyte import modes as mo
from pyte.screens import Cursor

from agentapi.terminal.line import Line
from agentapi.terminal.screen import Screen
from agentapi.terminal.style import DEFAULT, Style, erased

APPLICATION_CURSOR = 1
INVERSE_SCREEN = 5
ORIGIN = 6
AUTOWRAP = 7
BLINKING_CURSOR = 12
VISIBLE_CURSOR = 25
APPLICATION_KEYPAD = 66
FOCUS_EVENTS = 1004
BRACKETED_PASTE = 2004
SYNCHRONIZED = 2026
MOUSE_TRACKING = (9, 1000, 1002, 1003)
MOUSE_ENCODINGS = (1005, 1006, 1015)
ALTERNATE_SCREENS = (47, 1047, 1049)

PRIVATE_MODES = frozenset(
    {
        APPLICATION_CURSOR,
        INVERSE_SCREEN,
        ORIGIN,
        AUTOWRAP,
        BLINKING_CURSOR,
        VISIBLE_CURSOR,
        APPLICATION_KEYPAD,
        FOCUS_EVENTS,
        1007,
        BRACKETED_PASTE,
        SYNCHRONIZED,
        *MOUSE_TRACKING,
        *MOUSE_ENCODINGS,
    }
)
"""Modes whose state is stored; the alternate screens and 1048 also have an effect."""
ANSI_MODES = frozenset({mo.IRM, mo.LNM})
MAX_KEYBOARD_STACK = 16


class Saved(NamedTuple):
    """The state saved by DECSC."""

    x: int
    y: int
    style: Style
    charset: int
    graphics: tuple[bool, ...]
    origin: bool


class ModalScreen(Screen):
    """A screen with modes. Private mode N is stored in `mode` as `N << 5`, as in pyte."""

    def reset(self) -> None:
        self.alternate = False
        self._slots: list[Saved | None] = [None, None]
        self._keyboards: list[list[int]] = [[0], [0]]
        self.modify_other_keys = 0
        self.cursor_shape = 0
        super().reset()
        self._hidden_rows = self._blank(self.lines)

    def soft_reset(self) -> None:
        self._slots[self.alternate] = None
        self._keyboards[self.alternate] = [0]
        super().soft_reset()

    def has(self, private: int) -> bool:
        """Return whether a private mode is set."""
        return private << 5 in self.mode

    # SM and RM

    def set_mode(self, *modes: int, **kwargs: bool) -> None:
        """SM; with `private=True` DECSET."""
        self._switch(modes, True, kwargs.get("private", False))

    def reset_mode(self, *modes: int, **kwargs: bool) -> None:
        """RM; with `private=True` DECRST."""
        self._switch(modes, False, kwargs.get("private", False))

    def _switch(self, modes: tuple[int, ...], on: bool, private: bool) -> None:
        for mode in modes:
            if private:
                self._switch_private(mode, on)
            elif mode in ANSI_MODES:
                self._record(mode, on)

    def _switch_private(self, mode: int, on: bool) -> None:
        if mode in ALTERNATE_SCREENS:
            self._show_alternate(on, with_cursor=mode == 1049)
        elif mode == 1048:
            self.save_cursor() if on else self.restore_cursor()
        elif mode in PRIVATE_MODES:
            if mode in MOUSE_TRACKING:  # one at a time: the last one asked for
                self.mode -= {other << 5 for other in MOUSE_TRACKING}
            self._record(mode << 5, on)
        if mode == ORIGIN:
            self.cursor_position()
        elif mode == VISIBLE_CURSOR:
            self.cursor.hidden = not on

    def _record(self, mode: int, on: bool) -> None:
        (self.mode.add if on else self.mode.discard)(mode)

    def mode_report(self, mode: int, private: bool) -> int:
        """DECRQM: 0 unknown, 1 set, 2 reset."""
        if private and mode in ALTERNATE_SCREENS:
            return 1 if self.alternate else 2
        if private and mode == 1048:
            return 1 if self._slots[self.alternate] else 2
        if mode not in (PRIVATE_MODES if private else ANSI_MODES):
            return 0
        return 1 if (mode << 5 if private else mode) in self.mode else 2

    # The alternate screen

    def _show_alternate(self, on: bool, with_cursor: bool) -> None:
        """Switch screens. The alternate screen starts blank each time and has no scrollback; mode
        1049 also saves and restores the normal screen's cursor."""
        if on == self.alternate:
            if with_cursor and not on:
                self.restore_cursor()
            return
        if on and with_cursor:
            self.save_cursor()
        self.buffer, self._hidden_rows = self._hidden_rows, self.buffer
        self.alternate = on
        if on:
            self._slots[True] = None
            self.buffer = self._blank(self.lines, erased(self.style))
        elif with_cursor:
            self.restore_cursor()

    def normal_rows(self) -> list[Line]:
        """Return the rows of the normal screen, even if it is hidden."""
        return self._hidden_rows if self.alternate else self.buffer

    # Saved cursors, one per screen

    def save_cursor(self) -> None:
        """DECSC."""
        self._slots[self.alternate] = self.cursor_state()

    def cursor_state(self) -> Saved:
        """Return the cursor state as DECSC would save it now."""
        graphics, origin = tuple(self.graphics), self.has(ORIGIN)
        return Saved(self.cursor.x, self.cursor.y, self.style, self.charset, graphics, origin)

    def restore_cursor(self) -> None:
        """DECRC: restore the saved cursor, repeatedly; home if none was saved."""
        saved = self.saved(self.alternate) or Saved(0, 0, DEFAULT, 0, (False, False), False)
        self._record(ORIGIN << 5, saved.origin)
        self.cursor.x = min(saved.x, self.columns)
        self.cursor.y = min(saved.y, self.lines - 1)
        self.cursor.attrs = saved.style  # type: ignore[assignment]
        self.charset, self.graphics = saved.charset, list(saved.graphics)

    def saved(self, alternate: bool) -> Saved | None:
        """Return the state that DECSC saved for a screen."""
        return self._slots[alternate]

    # Keyboard protocols

    @property
    def keyboard_flags(self) -> int:
        """Return the active kitty keyboard flags."""
        return self._keyboards[self.alternate][-1]

    def keyboards(self, alternate: bool) -> list[int]:
        """Return the stack of flags of a screen."""
        return self._keyboards[alternate]

    def push_keyboard(self, flags: int = 0) -> None:
        """`CSI > flags u`."""
        stack = self._keyboards[self.alternate]
        stack.append(flags & 31)
        if len(stack) > MAX_KEYBOARD_STACK:
            del stack[1]

    def pop_keyboard(self, count: int = 1) -> None:
        """`CSI < count u`."""
        stack = self._keyboards[self.alternate]
        del stack[max(1, len(stack) - (count or 1)) :]

    def set_keyboard(self, flags: int = 0, how: int = 1) -> None:
        """`CSI = flags ; how u`: 1 replace, 2 add, 3 remove."""
        stack = self._keyboards[self.alternate]
        now = stack[-1]
        stack[-1] = {2: now | flags, 3: now & ~flags}.get(how, flags) & 31

    def select_key_modifiers(self, resource: int = 0, value: int = 0) -> None:
        """XTMODKEYS: only modifyOtherKeys (4) is kept."""
        if resource in (0, 4):
            self.modify_other_keys = value

    def select_cursor_shape(self, shape: int = 0) -> None:
        """DECSCUSR."""
        if shape <= 6:
            self.cursor_shape = shape

    # Size

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Resize both screens; the program redraws the visible one."""
        lines, columns = lines or self.lines, columns or self.columns
        cursor = Cursor(0, 0)
        saved = self._slots[not self.alternate]
        cursor.y = min(saved.y, self.lines - 1) if saved and self.alternate else 0
        self._hidden_rows = self._resized(
            self._hidden_rows, lines, columns, cursor, not self.alternate
        )
        if saved:
            self._slots[not self.alternate] = saved._replace(y=cursor.y)
        super().resize(lines, columns)
