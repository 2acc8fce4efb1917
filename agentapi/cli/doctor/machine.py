"""What the machine gives: Node.js, the port, folders, a terminal."""

from __future__ import annotations

import json
import locale
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agentapi.agents.codex.ask import ask
from agentapi.cli.doctor.report import Finding, State, fine, note, wrong
from agentapi.daemon.sockets import ListenError, close_all, listen

OLDEST_NODE = 16
"""What Codex's npm package asks for."""
_LITTLE = 100 << 20
"""Bytes free below which a disk is said to be nearly full."""


def check_node(codex: str | None, environment: Mapping[str, str]) -> Finding:
    """Node.js runs the launcher that npm installs; npm itself only installs and upgrades."""
    path = environment.get("PATH")
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    needed = codex is not None and _runs_on_node(Path(codex))
    if node is None:
        fix = "apt-get install nodejs npm"
        if needed:
            return wrong("node", "not found, and this Codex is started by it", fix)
        return note("node", "not found: needed only for the Codex that npm installs", fix)
    version = ask([node, "--version"], environment).stdout.strip()
    major = re.match(r"v(\d+)", version)
    if major is None or int(major[1]) < OLDEST_NODE:
        says = f"{node} is {version or 'not running'}: Codex asks for {OLDEST_NODE} or newer"
        return Finding("node", State.WRONG if needed else State.NOTE, says, "Install a newer one.")
    if npm is None:
        return note("node", f"{version}, without npm", "To install or upgrade Codex: get npm.")
    return fine("node", f"{version}, npm beside it")


def _runs_on_node(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            return b"node" in file.readline(200) if file.read(2) == b"#!" else False
    except OSError:
        return False


def check_port(hosts: Sequence[str], port: int) -> Finding:
    """Whether `agentapi server` could serve there."""
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
    """What an AgentAPI server on this port of this machine says it is; empty when there is none."""
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


def check_folders(folders: Mapping[str, Path], codex_home: Path) -> list[Finding]:
    """Whether each folder can be written; one that is missing can be if it could be made."""
    faults = [finding for name, folder in folders.items() for finding in _folder(name, folder)]
    if codex_home.is_relative_to(tempfile.gettempdir()):
        says = f"{codex_home} is temporary: Codex leaves its helper programs out there"
        faults.append(note("folders", says, "Set CODEX_HOME to a folder that lasts."))
    if faults:
        return faults
    return [fine("folders", "writable: " + ", ".join(map(str, folders.values())))]


def _folder(name: str, folder: Path) -> Iterator[Finding]:
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    if not there.is_dir():
        yield wrong("folders", f"{name}: {there} is not a folder", "Choose another.")
        return
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        fix = f"Give {there} to this user (uid {os.geteuid()}), or choose another folder."
        yield wrong("folders", f"{name}: {there} cannot be written: {error.strerror}", fix)
        return
    free = shutil.disk_usage(there).free
    if free < _LITTLE:
        yield note("folders", f"{name}: only {free >> 20} MB are free in {there}", "Make room.")


def check_terminal() -> Finding:
    """Whether the agent can have a terminal of its own, in UTF-8."""
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
