"""`python -m agentapi.scripted`: the scripted model as a program; prints its URL and serves."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from agentapi.scripted.answers import answer
from agentapi.scripted.model import ScriptedModel
from agentapi.scripted.reply import Reply, Say, Shell
from agentapi.scripted.request import Request


def main() -> int:
    """Serve until SIGINT or SIGTERM; exit with 2 if the script cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m agentapi.scripted", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument(
        "--script",
        type=Path,
        help='JSON: [{"when": REGEX, "say": TEXT, "run": COMMAND}, …]; the first match answers',
    )
    options = parser.parse_args()
    try:
        decide = read_script(options.script) if options.script else answer
    except (OSError, ValueError) as error:
        print(f"cannot use the script {options.script}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    asyncio.run(_serve(options.port, decide))
    return 0


def read_script(path: Path) -> Callable[[Request], Reply]:
    """Return an answer function for a script file; without a matching rule it uses the built-in
    answers.

    Raises `OSError` or `ValueError`, which names the invalid rule."""
    rules = []
    for number, rule in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        if not isinstance(rule, dict) or not {"when"} < rule.keys() <= {"when", "say", "run"}:
            raise ValueError(f'rule {number} needs "when" and one or both of "say" and "run"')
        steps: list[Say | Shell] = []
        if "say" in rule:
            steps.append(Say(str(rule["say"])))
        if "run" in rule:
            steps.append(Shell(str(rule["run"])))
        try:
            rules.append((re.compile(str(rule["when"])), steps))
        except re.error as error:
            raise ValueError(f"rule {number}: {error}") from error

    def decide(request: Request) -> Reply:
        if request.tool_output is None:
            for pattern, steps in rules:
                if pattern.search(request.prompt):
                    return steps
        return answer(request)

    return decide


async def _serve(port: int, decide: Callable[[Request], Reply]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ScriptedModel(port, decide) as model:
        print(model.url, flush=True)  # noqa: T201
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
