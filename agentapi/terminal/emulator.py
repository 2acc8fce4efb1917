"""Terminal emulator: bytes in, frames, signals and replies out.

Synchronized output (`CSI ? 2026 h … l`) delimits frames. During an update, all readers see the last
complete frame, even if one update ended and the next began in the same input: the frame is saved at
each beginning, at no cost if it was already taken. Only `dump` shows the live state.
"""

from __future__ import annotations

import itertools
import operator
from collections import deque

from agentapi.model.frames import Frame, Signal
from agentapi.terminal import modes
from agentapi.terminal.dump import dump
from agentapi.terminal.modes import ModalScreen
from agentapi.terminal.stream import Stream


class Emulator:
    """A terminal of `columns` by `rows` that keeps `scrollback` lines."""

    def __init__(self, columns: int = 80, rows: int = 24, scrollback: int = 10_000) -> None:
        self._screen = ModalScreen(columns, rows, scrollback)
        self._stream = Stream(self._screen, self._begin_frame, self._end_frame)
        self._scrollback: deque[str] = deque(maxlen=scrollback)
        self._pushed: deque[str] = deque(maxlen=scrollback)
        self._cleared = self._screen.cleared = False
        self._changed = False
        self._completed = 0
        blank = ("",) * rows
        self._frame = Frame(0, columns, rows, blank, blank, (0, 0), False)

    # Input

    def feed(self, data: bytes) -> None:
        """Process a piece of output, split anywhere; never raises."""
        self._changed = True
        self._stream.feed(data)

    def resize(self, columns: int, rows: int) -> None:
        """Resize the screen and end a synchronized update."""
        self.end_synchronized()
        if (columns, rows) != (self._screen.columns, self._screen.lines):
            self._changed = True
            self._screen.resize(rows, columns)

    def end_synchronized(self) -> None:
        """End an unfinished update, when the caller's time limit expires."""
        if self.synchronized:
            self._changed = True
            self._screen.reset_mode(modes.SYNCHRONIZED, private=True)

    # What the program is told and tells

    def take_replies(self) -> bytes:
        """Return the replies since the last call, to be written to the program."""
        taken = bytes(self._stream.replies)
        self._stream.replies.clear()
        return taken

    def take_signals(self) -> list[Signal]:
        """Return the titles, states, notifications and bells since the last call, in order."""
        taken = list(self._stream.signals)
        self._stream.signals.clear()
        return taken

    # What it shows

    def take_frame(self) -> Frame:
        """Return the last complete frame; `pushed` and `cleared` are relative to the last call."""
        frame = self._current()
        if not self._pushed and not self._cleared:
            return frame
        taken = Frame(
            frame.version,
            frame.columns,
            frame.rows,
            frame.lines,
            frame.bright,
            frame.cursor,
            frame.alternate,
            tuple(self._pushed),
            self._cleared,
            frame.cursor_visible,
        )
        self._pushed.clear()
        self._cleared = False
        return taken

    def screen_lines(self) -> list[str]:
        """Return the rows, without trailing blanks."""
        return list(self._current().lines)

    def highlighted(self, row: int) -> list[str]:
        """Return the words of a row whose background differs from most of it, as for a selected
        choice. A change of colours alone does not make a new frame."""
        line = self._screen.buffer[row]
        grounds = [(style.background, style.inverse) for style in line.styles]
        usual = max(set(grounds), key=grounds.count)
        cells = itertools.groupby(zip(line.chars, grounds, strict=True), key=operator.itemgetter(1))
        words = ("".join(char for char, _ in run) for ground, run in cells if ground != usual)
        return [text.strip() for text in words if text.strip()]

    def scrollback_lines(self) -> list[str]:
        """Return the lines scrolled off the normal screen, oldest first."""
        self._current()
        return list(self._scrollback)

    @property
    def cursor(self) -> tuple[int, int]:
        """(column, row), both from 0; the column stays on the screen if a wrap is pending."""
        return self._current().cursor

    @property
    def completed_frames(self) -> int:
        """The number of completed synchronized updates."""
        return self._completed

    @property
    def synchronized(self) -> bool:
        """Whether an update is in progress; `take_frame` then returns the frame before it."""
        return self._screen.has(modes.SYNCHRONIZED)

    def dump(self) -> bytes:
        """Return bytes that redraw the screen on a new terminal of the same size, with all state
        that later output depends on. With the rest of the output, that terminal shows the same."""
        return dump(self._screen, self._stream.parser.pending())

    # Modes set by the program

    @property
    def columns(self) -> int:
        return self._screen.columns

    @property
    def rows(self) -> int:
        return self._screen.lines

    @property
    def bracketed_paste(self) -> bool:
        """Whether pastes must be wrapped in `CSI 200 ~` and `CSI 201 ~`."""
        return self._screen.has(modes.BRACKETED_PASTE)

    @property
    def focus_events(self) -> bool:
        """Whether the program requests focus events (`CSI I`, `CSI O`)."""
        return self._screen.has(modes.FOCUS_EVENTS)

    # Frames

    def _begin_frame(self) -> None:
        self._commit()

    def _end_frame(self) -> None:
        self._completed += 1
        self._changed = True

    def _current(self) -> Frame:
        if not self.synchronized:
            self._commit()
        return self._frame

    def _commit(self) -> None:
        """Publish the current screen as the frame that readers see."""
        if not self._changed:
            return
        self._changed = False
        moved = self._commit_scrollback()
        screen = self._screen
        rows = screen.buffer
        for row in [row for row in rows if not row.fresh]:
            row.render()
        lines = tuple([row.text for row in rows])
        bright = tuple([row.bright for row in rows])
        cursor = (min(screen.cursor.x, screen.columns - 1), screen.cursor.y)
        visible = screen.has(modes.VISIBLE_CURSOR)
        before = self._frame
        if (
            moved
            or (cursor, visible) != (before.cursor, before.cursor_visible)
            or lines != before.lines
            or bright != before.bright
            or (screen.columns, screen.alternate) != (before.columns, before.alternate)
        ):
            self._frame = Frame(
                before.version + 1,
                screen.columns,
                screen.lines,
                lines,
                bright,
                cursor,
                screen.alternate,
                cursor_visible=visible,
            )

    def _commit_scrollback(self) -> bool:
        """Publish the lines scrolled off the screen; return whether there was any change."""
        screen = self._screen
        if screen.cleared:
            self._scrollback.clear()
            self._pushed.clear()
            self._cleared = True
        moved = bool(screen.pushed) or screen.cleared
        self._scrollback.extend(screen.pushed)
        self._pushed.extend(screen.pushed)
        screen.pushed.clear()
        screen.cleared = False
        return moved
