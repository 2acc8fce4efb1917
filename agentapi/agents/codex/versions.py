"""The differences between versions of Codex.

Where possible, a feature is detected by its `sign` in the help of the installed Codex, which also
works for builds between two releases. The version numbers are for everything else, for the tests
and for documentation. `scripts/matrix` tests every version of `TRIED`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int]

TRIED = ("0.80.0", "0.107.0", "0.125.0", "0.142.0", "0.158.0", "0.169.0")
"""The versions that agentapi is tested with, oldest first: each changed something. The last one is
pinned by tools/codex."""


def parse(version: str) -> Version | None:
    """Parse the major and minor number of a version; None for invalid text."""
    match = re.match(r"(\d+)\.(\d+)\.", version)
    return (int(match[1]), int(match[2])) if match else None


def dotted(version: Version) -> str:
    """Format a version."""
    return "{}.{}".format(*version)


def _tried(index: int) -> Version:
    version = parse(TRIED[index])
    assert version is not None
    return version


OLDEST, NEWEST = _tried(0), _tried(-1)


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that not every version has."""

    what: str
    since: Version = (0, 0)
    """The first version that has it."""
    until: Version | None = None
    """The first version without it again."""
    sign: str = ""
    """The text in Codex's help that shows that it has the feature."""

    def of(self, version: str) -> bool:
        """Return whether a version has it; an unknown version counts as the newest."""
        number = parse(version) or NEWEST
        return self.since <= number and (self.until is None or number < self.until)


# How Codex is started and probed

INLINE = Feature("stays off the alternate screen when told", (0, 107), sign="--no-alt-screen")
REMOTE = Feature("its TUI takes an app-server on a Unix socket", (0, 142), sign="unix://PATH")
DAEMON = Feature(
    "its TUI starts a background app-server that outlives it, unless told not to",
    (0, 158),
    sign="--no-daemon",
)
PROFILE_FILES = Feature(
    "a profile is a file NAME.config.toml, not a table in config.toml",
    (0, 158),
    sign=".config.toml",
)
SANDBOX_BY_SYSTEM = Feature("`codex sandbox` wants the system's name", until=(0, 142))
PID_NAMESPACE = Feature("its sandbox hides all processes but its own", (0, 125))

# Its screen

FORMS = Feature("asks questions, for permissions and for what MCP servers want", (0, 125))
HOOKS = Feature("asks whether to run hooks", (0, 142))
ALTERNATE_SCREEN = Feature("runs on the alternate screen", (0, 158))
END_MARK = Feature("marks the end of a turn, and says what runs in the background", (0, 158))
MODEL_OFFER = Feature("offers a newer model when it starts", (0, 158))
EARLY_MODEL_OFFER = Feature("the same, for older models and in other words", (0, 107), (0, 158))
PAGER = Feature("shows the conversation so far on a screen of its own", until=(0, 158))


if __name__ == "__main__":  # for scripts/setup
    print(*TRIED, sep="\n")  # noqa: T201
