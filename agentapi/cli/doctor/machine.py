"""Checks of the machine: the port, folders, a terminal."""

from __future__ import annotations

import json
import locale
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from agentapi.daemon.sockets import ListenError, close_all, listen
from agentapi.model.finding import Finding, fine, note, wrong

_LOW_SPACE = 100 << 20
"""The number of free bytes below which a disk counts as nearly full."""


def check_port(hosts: Sequence[str], port: int) -> Finding:
    """Check whether `agentapi server` could serve there."""
    if port == 0:
        return fine("port", "a free one is taken")
    try:
        close_all(listen(hosts, port))
    except ListenError as error:
        if serving := _agentapi_at(port):
            return note("port", f"{port}: {serving} serves there already")
        return wrong("port", str(error), "Stop that program, or give --port (AGENTAPI_PORT).")
    return fine("port", f"{port} is free on {' and '.join(hosts)}")


def _agentapi_at(port: int) -> str:
    """Describe the AgentAPI server on a local port; return an empty text if there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/status", timeout=2) as answer:
            status = json.loads(answer.read(10_000))
        return f"an agentapi ({status['agent_type']}, {status['status']})"
    except urllib.error.HTTPError as error:
        error.close()
        return "an agentapi with a token" if error.headers.get("WWW-Authenticate") else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def check_folders(folders: Mapping[str, Path], more: Iterable[Finding] = ()) -> list[Finding]:
    """Check that each folder can be written, or created. `more` are other findings about them."""
    faults = [finding for name, folder in folders.items() for finding in _folder(name, folder)]
    faults += more
    if faults:
        return faults
    return [fine("folders", "writable: " + ", ".join(map(str, folders.values())))]


def _folder(name: str, folder: Path) -> Iterator[Finding]:
    existing = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    if not existing.is_dir():
        yield wrong("folders", f"{name}: {existing} is not a folder", "Choose another.")
        return
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        fix = f"Give {existing} to this user (uid {os.geteuid()}), or choose another folder."
        yield wrong("folders", f"{name}: {existing} cannot be written: {error.strerror}", fix)
        return
    free = shutil.disk_usage(existing).free
    if free < _LOW_SPACE:
        yield note("folders", f"{name}: only {free >> 20} MB are free in {existing}", "Make room.")


def check_terminal() -> Finding:
    """Check that the agent can get a terminal with UTF-8."""
    try:
        for descriptor in os.openpty():
            os.close(descriptor)
    except OSError as error:
        fix = "Mount devpts on /dev/pts (in a container: run it with its usual /dev)."
        return wrong("terminal", f"no pseudo-terminal: {error.strerror}", fix)
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return note("terminal", "there is no locale C.UTF-8", "apt-get install locales")
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return fine("terminal", "the agent gets one of its own (xterm-256color, UTF-8)")
