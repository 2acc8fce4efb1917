"""What differs between versions of Codex.

Wherever a running Codex can be asked, it is: by the `sign` in its help, so that a build between two
releases is known by what it can do. The numbers are for what cannot be asked, for the tests and for
people. `scripts/matrix` tries every version of `TRIED`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int]

TRIED = ("0.80.0", "0.107.0", "0.125.0", "0.142.0", "0.158.0", "0.169.0")
"""The versions that agentapi is tried with, the oldest first: each changed something. The last is
the one that tools/codex pins."""


def parse(version: str) -> Version | None:
    """The two numbers that tell versions apart; None for what is no version."""
    found = re.match(r"(\d+)\.(\d+)\.", version)
    return (int(found[1]), int(found[2])) if found else None


def dotted(version: Version) -> str:
    """A version as people write it."""
    return "{}.{}".format(*version)


def _tried(place: int) -> Version:
    version = parse(TRIED[place])
    assert version is not None
    return version


OLDEST, NEWEST = _tried(0), _tried(-1)


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that not every version has."""

    what: str
    since: Version = (0, 0)
    """The first version that has it."""
    until: Version | None = None
    """The first version that has it no more."""
    sign: str = ""
    """What its help says where this Codex has it."""

    def of(self, version: str) -> bool:
        """Whether a version has it; one that is not understood counts as the newest."""
        number = parse(version) or NEWEST
        return self.since <= number and (self.until is None or number < self.until)


# What decides how Codex is started and asked

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

# What its screen shows

FORMS = Feature("asks questions, for permissions and for what MCP servers want", (0, 125))
HOOKS = Feature("asks whether to run hooks", (0, 142))
ALTERNATE_SCREEN = Feature("runs on the alternate screen", (0, 158))
END_MARK = Feature("marks the end of a turn, and says what runs in the background", (0, 158))
MODEL_OFFER = Feature("offers a newer model when it starts", (0, 158))
EARLY_MODEL_OFFER = Feature("the same, for older models and in other words", (0, 107), (0, 158))
PAGER = Feature("shows the conversation so far on a screen of its own", until=(0, 158))


if __name__ == "__main__":  # for scripts/setup
    print(*TRIED, sep="\n")  # noqa: T201
