"""From the command line that was given to the one that runs Codex.

Newer versions' TUI talks to a shared background app-server that it starts itself and that outlives
it, with whatever turn was running (`versions.DAEMON`); `--no-daemon` keeps all of it in one
process, so that the end of the agent is the end of its work.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from agentapi.agents.codex.versions import DAEMON, INLINE, REMOTE
from agentapi.files import write_atomically
from agentapi.processes.orphans import mark_waited

NO_DAEMON = DAEMON.sign
NO_ALT_SCREEN = INLINE.sign
"""Keeps Codex off the alternate screen: what scrolls off the top stays, and a high terminal does
not slow it down."""
_PROBED = (NO_DAEMON, NO_ALT_SCREEN, REMOTE.sign)
PROBE_LIMIT = 5.0
"""Seconds that `codex --help` may take (0.1 s measured)."""

_log = logging.getLogger(__name__)


async def without_daemon(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command with `--no-daemon` after its word `codex`, where that Codex knows the flag.

    The word may follow a wrapper's words (`boundary … -- codex …`). As it was given: a command
    without that word, one that has the flag or names a server of its own (`--remote`), and one
    whose Codex cannot be asked."""
    words = list(command)
    place = next((i for i, word in enumerate(words) if PurePath(word).name == "codex"), None)
    if place is None or _decided(words[place + 1 :]):
        return words
    if NO_DAEMON not in await known_flags(words[place], environment):
        return words
    _log.info("running Codex with %s: its work ends with it (--verbatim leaves it out)", NO_DAEMON)
    return [*words[: place + 1], NO_DAEMON, *words[place + 1 :]]


def _decided(arguments: Sequence[str]) -> bool:
    return any(word == NO_DAEMON or word.split("=")[0] == "--remote" for word in arguments)


async def known_flags(program: str, environment: Mapping[str, str]) -> frozenset[str]:
    """Which of `--no-daemon`, `--no-alt-screen` and `unix://PATH` this Codex has, asked
    once for each installed version; none when it cannot be asked."""
    binary = shutil.which(program, path=environment.get("PATH"))
    if binary is None:
        return frozenset()
    try:
        key = " ".join((_identity(binary), *_PROBED))
    except OSError:
        return frozenset()
    cache = _cache_file(environment)
    known = _read_cache(cache)
    if key not in known:
        text = await _help_text(binary, environment)
        if text is None:
            return frozenset()
        found = [flag for flag in _PROBED if flag in text]
        known = {key: found, **dict(list(known.items())[:15])}
        with contextlib.suppress(OSError):  # not writable: asked again the next time
            write_atomically(cache, json.dumps(known).encode())
    return frozenset(known[key])


def _identity(binary: str) -> str:
    """What changes whenever another version is installed: npm's `codex` is a small script that
    stays the same, so that the package's own description counts too. Raises `OSError`."""
    real = Path(os.path.realpath(binary))
    parts = [real]
    package = real.parent.parent / "package.json"
    if package.is_file():
        parts.append(package)
    stats = [(part, part.stat()) for part in parts]
    return " ".join(f"{part}:{stat.st_mtime_ns}:{stat.st_size}" for part, stat in stats)


def _cache_file(environment: Mapping[str, str]) -> Path:
    root = environment.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(root) if Path(root).is_absolute() else Path("~/.cache")
    with contextlib.suppress(RuntimeError):  # no home at all: a relative name, not writable at /
        folder = folder.expanduser()
    return folder / "agentapi" / "codex-flags.json"


def _read_cache(file: Path) -> dict[str, list[str]]:
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {
        key: value
        for key, value in known.items()
        if isinstance(value, list) and all(isinstance(flag, str) for flag in value)
    }


async def _help_text(binary: str, environment: Mapping[str, str]) -> str | None:
    """What `codex --help` prints; None (logged) when it fails or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            binary,
            "--help",
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        _log.warning("cannot ask %s for its options: %s", binary, error)
        return None
    mark_waited(process.pid)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PROBE_LIMIT)
    except (TimeoutError, asyncio.CancelledError) as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        _log.warning("%s --help took longer than %g s: not asked further", binary, PROBE_LIMIT)
        return None
    return output.decode("utf-8", "replace") if process.returncode == 0 else None
