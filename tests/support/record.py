"""`python -m tests.support.record [VERSION …] [--only SCENARIO …]`: record the real Codex.

Each scenario runs in a fresh home under /var/tmp (a neutral path: recordings show it) against the
scripted model. It becomes `tests/recordings/codex/VERSION/SCENARIO.cast` and, beside it, a `.json`:

    codex      the version
    command    the command line, without the binary's folder
    scenario, size, inline, approvals
    typed      [{time, what, text}]: `prompt` (a bracketed paste), `enter`, `keys`
    sent       [{prompt, tool_output, steps}]: each request of a turn and the reply, exact text
    states     every OSC 7501, in order
    exit       the exit status, when the scenario ends Codex itself
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import shutil
import sys
from pathlib import Path
from typing import Any

from agentapi.scripted import ScriptedModel
from tests.support.cast import CastWriter
from tests.support.codex import PROJECT, CodexHome, codex_command, codex_home, pinned_version
from tests.support.scenarios import SCENARIOS, Live, Scenario
from tests.support.terminal import Terminal

RECORDINGS = PROJECT / "tests/recordings/codex"
HOME = Path("/var/tmp/agentapi-demo")


async def record(version: str, scenario: Scenario) -> Path:
    """Run one scenario and write its two files; returns the `.cast`.

    Raises `TimeoutError` with the screen when Codex does not do what the scenario waits for."""
    try:
        async with ScriptedModel() as model:
            home = codex_home(
                HOME,
                model.url,
                trusted=scenario.trusted,
                approvals=scenario.approvals,
                retries=scenario.retries,
                extra=scenario.config,
            )
            if scenario.prepare:
                scenario.prepare(home)
            return await _run(version, scenario, home, model)
    finally:
        shutil.rmtree(HOME, ignore_errors=True)


async def _run(version: str, scenario: Scenario, home: CodexHome, model: ScriptedModel) -> Path:
    columns, rows = scenario.size
    live = Live(version, scenario, home, model)
    if scenario.before:
        await scenario.before(live)
    command = codex_command(version, *scenario.arguments(live), inline=scenario.inline)
    cast = CastWriter(columns, rows)
    skipped = len(model.requests)
    live.terminal = Terminal.spawn(command, home.environment(), home.workdir, columns, rows, cast)
    try:
        await scenario.play(live)
        notes = {
            "codex": version,
            "scenario": scenario.name,
            "command": ["codex", *command[1:]],
            "size": [columns, rows],
            "inline": scenario.inline,
            "approvals": scenario.approvals,
            "sent": sent_to(model)[skipped:],
            "states": live.terminal.states,
            "exit": live.terminal.exit_status,
        }
        path = RECORDINGS / version / f"{scenario.name}.cast"
        cast.save(path, notes)
    finally:
        await live.terminal.close()
    return path


def sent_to(model: ScriptedModel) -> list[dict[str, Any]]:
    """Each request of a turn and the reply, exact text, as a recording's notes keep them."""
    return [
        {
            "prompt": request.prompt,
            "tool_output": request.tool_output,
            "steps": [{"step": type(step).__name__, **dataclasses.asdict(step)} for step in reply],
        }
        for request, reply in zip(model.requests, model.replies, strict=True)
    ]


def _main(versions: list[str], only: list[str], missing: bool) -> int:
    failed = 0
    for version in versions:
        for scenario in SCENARIOS:
            if not scenario.fits(version) or (only and scenario.name not in only):
                continue
            if missing and (RECORDINGS / version / f"{scenario.name}.cast").exists():
                continue
            HOME.mkdir()  # an error when another recorder is at work: they would mix
            try:
                path = asyncio.run(record(version, scenario))
                print(f"{version} {scenario.name}: {path.stat().st_size} bytes", flush=True)
            except TimeoutError as error:
                failed += 1
                print(f"{version} {scenario.name}: FAILED: {error}", flush=True)
    return 1 if failed else 0


def main() -> int:
    """Record; status 1 when a scenario failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.record")
    parser.add_argument("versions", nargs="*", default=[], metavar="VERSION")
    parser.add_argument("--only", nargs="+", default=[], metavar="SCENARIO")
    parser.add_argument("--missing", action="store_true", help="only those not recorded yet")
    options = parser.parse_args()
    return _main(options.versions or [pinned_version()], options.only, options.missing)


if __name__ == "__main__":
    sys.exit(main())
