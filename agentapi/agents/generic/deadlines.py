"""Timeouts of the tracker, which has no clock of its own.

Four deadlines: the agent was ready for the settling time, printed nothing for the quiet time, shows
a screen that cannot be read and stands still, or shows what looks like a question for long enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agentapi.agents.generic.companion import Companion
from agentapi.agents.generic.console import Console
from agentapi.conversation.shape_screen import BLANK_QUIET
from agentapi.conversation.tracker import Tracker
from agentapi.timing.timer import Timer

STILL = 5.0
"""Seconds after which a screen without an input box, a known dialog or work that does not change
counts as a question."""
UNREADABLE = 0.8
"""Seconds for which a program's word that it is blocked waits for a question that can be read:
claude says so before it has painted it."""
BUSY_LOOK = 1.0
"""Seconds between two looks at a silent program that is known not to wait for input."""
ASKING = 0.3
"""Seconds for which what looks like a question must stand, where an agent's looks are not known."""


class Deadlines:
    """The timers of one tracker. `evaluate` is called after each that has passed to the tracker."""

    def __init__(
        self,
        tracker: Tracker,
        console: Console,
        companion: Companion,
        evaluate: Callable[[], None],
    ) -> None:
        self._tracker, self._screen = tracker, tracker.screen
        self._console, self._companion = console, companion
        self._evaluate = evaluate
        self._profile = profile = tracker.profile
        self._began = 0.0
        self._quiet_for = profile.quiet
        """Seconds for which the quiet time was set."""
        self._settling = Timer(profile.settle, self._settled)
        self._flickered = False
        self._quiet = Timer(profile.quiet, self._on_quiet)
        self._still = Timer(STILL, self._on_still)
        self._asking = Timer(ASKING, self._on_dialog_still)

    def begin(self) -> None:
        """The program starts now."""
        self._began = _now()
        self.restart_quiet()

    def update(self) -> None:
        """Set what the tracker waits for now, and take back what it does not."""
        screen, fusion = self._screen, self._tracker.fusion
        if screen.needs_quiet:
            self._quiet.start(self._patience())
        if screen.dialog_unconfirmed:
            self._asking.start(ASKING if screen.dialog_readable else UNREADABLE)
        else:
            self._asking.cancel()
        if fusion.flickered and not self._flickered:
            self._flickered = True
            self._settling.cancel()  # it need not last as long from now on
        if fusion.ready or fusion.at_work:
            self._settling.start(self._settling_time)
        else:
            self._settling.cancel()
        if screen.unreadable:
            self._still.start()
        else:
            self._still.cancel()

    def restart_quiet(self) -> None:
        """There was output, or a turn began: the quiet time begins again."""
        if self._screen.needs_quiet:
            self._quiet.again(self._patience())
        else:
            self._quiet.cancel()

    def moved(self) -> None:
        """A screen that cannot be read has changed: it does not stand still."""
        self._still.cancel()

    def settle_anew(self) -> None:
        """Set the settling time again, when it is next needed."""
        self._settling.cancel()

    def stop(self) -> None:
        """No timer is left."""
        for timer in (self._settling, self._quiet, self._still, self._asking):
            timer.cancel()

    # -- how long --------------------------------------------------------------------------------

    @property
    def _settling_time(self) -> float:
        """Half of what the start took, within the profile's bounds, as long as the agent may still
        say that it works once more; the least once it has."""
        known = self._companion.settling_time
        if known is not None:
            return known
        profile = self._profile
        if self._flickered:
            return profile.settle
        return max(profile.settle, min((_now() - self._began) / 2, profile.settle_at_most))

    def _patience(self) -> float:
        self._quiet_for = self._screen.patience
        return self._quiet_for

    def _at_work_silently(self) -> bool:
        """Whether a program without a prompt is at work without a word: it is waited for."""
        if not self._screen.may_work_silently:
            return False
        silent = _now() - max(self._console.shown_at, self._began)
        return silent < BLANK_QUIET and self._console.busy()

    # -- when they are over ------------------------------------------------------------------------

    def _settled(self) -> None:
        self._tracker.settle()
        self._evaluate()

    def _on_quiet(self) -> None:
        if self._at_work_silently():
            self._quiet.again(BUSY_LOOK)
            return
        line = self._console.line_mode
        self._screen.handle_quiet(self._quiet_for, keys=not (line.canonical and line.echo))
        self._evaluate()

    def _on_dialog_still(self) -> None:
        self._screen.confirm_dialog()
        self._evaluate()

    def _on_still(self) -> None:
        self._screen.confirm_unknown()
        self._evaluate()


def _now() -> float:
    return asyncio.get_running_loop().time()
