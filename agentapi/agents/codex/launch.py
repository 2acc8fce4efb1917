"""Adjust Codex's command line to the installed version.

In newer versions the TUI starts a shared background app-server that outlives it, with any running
turn (`versions.DAEMON`). `--no-daemon` keeps everything in one process, so that the work ends with
the agent.
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
"""Disables the alternate screen: scrolled lines stay, and a tall terminal does not slow it down."""
_PROBED = (NO_DAEMON, NO_ALT_SCREEN, REMOTE.sign)
PROBE_LIMIT = 5.0
"""Timeout of `codex --help` in seconds (0.1 s measured)."""

_log = logging.getLogger(__name__)


async def without_daemon(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Add `--no-daemon` after the word `codex` of a command, where that Codex supports it.

    A wrapper may come before it (`boundary … -- codex …`). Returned unchanged: a command without
    that word, one that has the flag or names a server (`--remote`), and one whose help cannot be
    read."""
    words = list(command)
    index = next((i for i, word in enumerate(words) if PurePath(word).name == "codex"), None)
    if index is None or _decided(words[index + 1 :]):
        return words
    if NO_DAEMON not in await known_flags(words[index], environment):
        return words
    _log.info("running Codex with %s: its work ends with it (--verbatim leaves it out)", NO_DAEMON)
    return [*words[: index + 1], NO_DAEMON, *words[index + 1 :]]


def _decided(arguments: Sequence[str]) -> bool:
    return any(word == NO_DAEMON or word.split("=")[0] == "--remote" for word in arguments)


async def known_flags(program: str, environment: Mapping[str, str]) -> frozenset[str]:
    """Return which of `--no-daemon`, `--no-alt-screen` and `unix://PATH` this Codex's help lists.

    Cached for each installed version; empty when the help cannot be read."""
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
        with contextlib.suppress(OSError):  # not writable: read again the next time
            write_atomically(cache, json.dumps(known).encode())
    return frozenset(known[key])


def _identity(binary: str) -> str:
    """Return a key that changes with the installed version. npm's `codex` is a small script that
    stays the same, so its `package.json` counts, too. Raises `OSError`."""
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
    """Return the output of `codex --help`; None (logged) when it fails or takes too long."""
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
