"""A small agent for a terminal: `python echo_agent.py SCRIPT [SECONDS]`.

SCRIPT is JSON, a list of what happens in order: `{"expect": TEXT, "think": SECONDS, "say": TEXT}`.
With `expect` it reads a line first, which must be that text; without it speaks by itself. While it
thinks it turns a wheel. Before anything it sleeps for SECONDS, as a slow program does.

It prompts with `> `, and after every change it clears the screen and paints the whole conversation
again: what was said to it behind a `> `, what it says as it is.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from types import FrameType
from typing import Any

PROMPT = "> "
WHEEL = "|/-\\"
KEYS = re.compile(r"\x1b\[\d+~|[\x00-\x1f\x7f]")
"""What a terminal sends around a paste, and other controls."""


class Agent:
    """The conversation so far, and the screen that shows it."""

    def __init__(self) -> None:
        self.painted: list[str] = []

    def run(self, script: list[dict[str, Any]]) -> None:
        """Play the script to its end."""
        self.paint()
        for step in script:
            if expected := step.get("expect"):
                self.hear(str(expected))
            self.think(float(step.get("think", 0)))
            self.painted.append(str(step["say"]))
            self.paint()

    def hear(self, expected: str) -> None:
        """Read lines until one has text; another text than the expected one is the end."""
        heard = ""
        while not heard:
            line = sys.stdin.readline()
            if not line:
                sys.exit(0)
            heard = KEYS.sub("", line).strip()
        if heard != expected:
            sys.exit(f"Wrong: heard {heard!r}, wanted {expected!r}")
        self.painted.append(PROMPT + heard)
        self.paint()

    def think(self, seconds: float) -> None:
        """Turn the wheel for so long."""
        if seconds:
            self.paint("Thinking... ")
        for turn in range(round(seconds / 0.2)):
            time.sleep(0.2)
            write(f"\rThinking {WHEEL[turn % 4]}")
        if seconds:
            write("\r" + " " * 20 + "\r")

    def paint(self, last: str = PROMPT) -> None:
        """Clear, and paint everything."""
        write("\x1b[2J\x1b[H" + "".join(f"{line}\n" for line in self.painted) + last)


def write(text: str) -> None:
    """To the terminal, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def leave(_number: int, _frame: FrameType | None) -> None:
    """End with a last word, as many programs do."""
    write("Goodbye...\n")
    sys.exit(0)


def main() -> None:
    """Play the script, then wait for the end."""
    signal.signal(signal.SIGINT, leave)
    time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
    Agent().run(json.loads(sys.argv[1]))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
