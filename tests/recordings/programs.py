"""Records the programs in `programs/`: `python -m tests.recordings.programs [NAME…]`.

Everyday full-screen programs use corners of the terminal that no agent does. Each scenario is a
program, a size, and keys; the next key is typed when the screen shows a text (or when the program
has ended).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agentapi.terminal import Emulator, PtyProcess, child_environment
from agentapi.terminal.recording import Recorder

FOLDER = Path(__file__).parent / "programs"
COLOURS = """
for i in 1 2 3 4 5 6 7; do tput setaf $i; echo "colour $i"; done
tput sgr0; tput smso; echo standout; tput rmso; tput dim; echo dim; tput sgr0
tput smacs; echo lqqk; tput rmacs; tput cup 0 20; tput el; echo moved; tput rep 88 5
"""
PATIENCE = 10.0
"""Seconds to wait for a text."""


class Step(NamedTuple):
    """Wait for `text` on the screen, then type `keys` (or take a new size)."""

    text: str
    keys: str = ""
    size: tuple[int, int] | None = None


class Scenario(NamedTuple):
    """A program, its terminal's columns and rows, and what happens."""

    argv: list[str]
    size: tuple[int, int]
    steps: list[Step]


SCENARIOS = {
    "bash": Scenario(
        ["bash", "--norc", "--noprofile", "-i"],
        (60, 12),
        [
            Step("$", "for i in $(seq 30); do echo line $i; done\r"),
            Step("line 30", "printf 'a\\tb\\n\\033[1mbold\\033[m wide 漢字 end\\n'\r"),
            Step(
                "end", "echo a command that is long enough to wrap at the right edge of it\b\bX\r"
            ),
            Step("of X", "clear\r"),
            Step("$", "echo after clear\r"),
            Step("after clear"),
        ],
    ),
    "less": Scenario(
        ["less", "numbers"],
        (40, 10),
        [
            Step("numbers", " "),
            Step("number 18", "jjj"),
            Step("number 21", "kb"),
            Step("number 11", "/number 42\r"),
            Step("number 50", "G"),
            Step("END"),
        ],
    ),
    "less-quit": Scenario(
        ["sh", "-c", "seq 20; less numbers; echo back on the main screen; sleep 60"],
        (40, 10),
        [Step("number 1", " q"), Step("back on")],
    ),
    "vim": Scenario(
        ["vim", "-u", "NONE", "-N", "--cmd", "set nomore ruler", "numbers"],
        (60, 14),
        [
            Step("number 1", "5dd"),
            Step("number 6", ":set number hlsearch\r"),
            Step("1 number 6", "ihello 漢字 \x1b"),
            Step("hello 漢字", "G"),
            Step("number 100", "\x15\x15:split\r"),
            Step("numbers [+]", "ggyyPxx"),
            Step("number 6", ":vsplit\r"),
            Step("numbers [+]", "/number 1.\r"),
            Step("number 1"),
        ],
    ),
    "vim-resized": Scenario(
        ["vim", "-u", "NONE", "-N", "--cmd", "set ruler laststatus=2", "numbers"],
        (60, 14),
        [
            Step("number 12", "G"),
            Step("Bot", size=(40, 8)),
            Step("numbers", "gg"),
            Step("Top", size=(70, 20)),
            Step("number 18", "ix\x1b"),
            Step("xnumber 1"),
        ],
    ),
    "top": Scenario(["sh", "-c", "top -n 2 -d 0.3 -p $$"], (80, 20), [Step("Mem"), Step("$EXIT")]),
    "colours": Scenario(
        ["sh", "-c", COLOURS],
        (72, 16),
        [Step("$EXIT")],
    ),
}


async def record(scenario: Scenario, path: Path) -> None:
    """Run one scenario in an empty directory and write what it prints."""
    emulator = Emulator(*scenario.size)
    changed = asyncio.Event()

    def fail(message: str) -> None:
        raise OSError(message)

    def show(data: bytes) -> None:
        recorder.output(data)
        emulator.feed(data)
        process.write(emulator.take_replies())
        changed.set()

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "numbers").write_text("".join(f"number {n}\n" for n in range(1, 101)))
        environment = child_environment({"PATH": "/usr/bin:/bin", "HOME": folder, "PS1": "$ "})
        columns, rows = scenario.size
        recorder = Recorder(path, columns, rows, on_error=fail)
        process = await PtyProcess.spawn(
            scenario.argv,
            cwd=Path(folder),
            env=environment,
            columns=columns,
            rows=rows,
            on_output=show,
            on_exit=lambda _: changed.set(),
        )
        for step in scenario.steps:
            try:
                async with asyncio.timeout(PATIENCE):
                    while not _reached(step, emulator, process):
                        changed.clear()
                        await changed.wait()
            except TimeoutError:
                screen = "\n".join(emulator.screen_lines())
                raise TimeoutError(f"no {step.text!r} on this screen:\n{screen}") from None
            if step.size:
                recorder.resize(*step.size)
                emulator.resize(*step.size)
                process.resize(*step.size)
            process.write(step.keys.encode())
        recorder.close()
        await process.stop(0.2)


def _reached(step: Step, emulator: Emulator, process: PtyProcess) -> bool:
    if step.text == "$EXIT":
        return process.status is not None
    return step.text in "\n".join(emulator.screen_lines())


async def main(names: Sequence[str]) -> None:
    for name in names or SCENARIOS:
        path = FOLDER / f"{name}.cast"
        await record(SCENARIOS[name], path)
        print(path)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
