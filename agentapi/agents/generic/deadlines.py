"""Timeouts of the tracker, which has no clock.

Four deadlines: the agent was ready for the settling time, printed nothing for the quiet time, shows
an unreadable screen that does not change, or has shown what looks like a question for long enough.
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
"""Seconds after which an unchanged screen without an input box, dialog or working line counts as a
question."""
UNREADABLE = 0.8
"""Seconds to wait for a readable question after a program reports that it is blocked: claude
reports it before drawing the question."""
BUSY_LOOK = 1.0
"""Seconds between checks of a silent program that is known not to wait for input."""
ASKING = 0.3
"""Seconds for which a possible question of an unknown program must be displayed."""


class Deadlines:
    """The timers of one tracker. `evaluate` is called after each one has fired."""

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
        """The current quiet time in seconds."""
        self._settling = Timer(profile.settle, self._settled)
        self._flickered = False
        self._quiet = Timer(profile.quiet, self._on_quiet)
        self._still = Timer(STILL, self._on_still)
        self._asking = Timer(ASKING, self._on_dialog_still)

    def begin(self) -> None:
        """Start the clock, as the program starts."""
        self._began = _now()
        self.restart_quiet()

    def update(self) -> None:
        """Start the timers that the tracker needs now, and cancel the others."""
        screen, fusion = self._screen, self._tracker.fusion
        if screen.needs_quiet:
            self._quiet.start(self._patience())
        if screen.dialog_unconfirmed:
            self._asking.start(ASKING if screen.dialog_readable else UNREADABLE)
        else:
            self._asking.cancel()
        if fusion.flickered and not self._flickered:
            self._flickered = True
            self._settling.cancel()  # the settling time is shorter from now on
        if fusion.ready or fusion.at_work:
            self._settling.start(self._settling_time)
        else:
            self._settling.cancel()
        if screen.unreadable:
            self._still.start()
        else:
            self._still.cancel()

    def restart_quiet(self) -> None:
        """Restart the quiet time, after output or at the beginning of a turn."""
        if self._screen.needs_quiet:
            self._quiet.again(self._patience())
        else:
            self._quiet.cancel()

    def screen_changed(self) -> None:
        """Note that an unreadable screen has changed."""
        self._still.cancel()

    def restart_settling(self) -> None:
        """Restart the settling time when it is next needed."""
        self._settling.cancel()

    def stop(self) -> None:
        """Cancel all timers."""
        for timer in (self._settling, self._quiet, self._still, self._asking):
            timer.cancel()

    # -- durations ------------------------------------------------------------------------------

    @property
    def _settling_time(self) -> float:
        """Half the time since the start, within the profile's bounds, while the agent may still
        flicker; the minimum once it has."""
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
        """Return whether a program without a prompt is working silently."""
        if not self._screen.may_work_silently:
            return False
        silent = _now() - max(self._console.shown_at, self._began)
        return silent < BLANK_QUIET and self._console.busy()

    # -- expiry -----------------------------------------------------------------------------------

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
