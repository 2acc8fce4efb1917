"""Read and atomically replace the files in Codex's home, with clear errors."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
import tomllib
from pathlib import Path
from typing import Any


class ConfigError(Exception):
    """An error that the user can fix; the message has the problem, its place and the fix.

    Raised before anything was written."""


def read_text(path: Path) -> str | None:
    """Return the file's text with its line ends unchanged; None when there is no such file.

    A symbolic link is followed. Raises `ConfigError` for what cannot be read as UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: not UTF-8 (byte {error.start}). Save it as UTF-8 or move it away, "
            "then run this again. It was left as it is."
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_given(path: Path) -> str:
    """Return the text of a file that the user named. Raises `ConfigError` when it is missing."""
    text = read_text(path)
    if text is None:
        raise ConfigError(f"{path}: no such file")
    return text


def mode_of(path: Path) -> int | None:
    """Return the file's permission bits; None when it is missing."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Parse a TOML document. Raises `ConfigError` with `source`, line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, line, column = _toml_place(str(error), text)
        raise ConfigError(
            f"{source}:{line}:{column}: not valid TOML: {reason}. "
            "Correct that line or move the file away, then run this again. It was left as it is."
        ) from error


def parse_json(text: str, source: str) -> dict[str, Any]:
    """Parse a JSON object. Raises `ConfigError` with `source`, line and column."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{source}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}. "
            "Correct it or move the file away, then run this again. It was left as it is."
        ) from error
    if not isinstance(value, dict):
        raise ConfigError(
            f"{source}:1:1: a JSON object was expected. Move the file away, then run this again. "
            "It was left as it is."
        )
    return value


def _toml_place(message: str, text: str) -> tuple[str, int, int]:
    """Parse the position in tomllib's message: `(at line 2, column 7)`, `(at end of document)`."""
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    if found:
        return message[: found.start()], int(found[1]), int(found[2])
    last = text.split("\n")
    return message.removesuffix(" (at end of document)"), len(last), len(last[-1]) + 1


def replace_file(path: Path, text: str, *, mode: int | None = None) -> None:
    """Replace the file atomically: readers see either the old text or the new one.

    A symbolic link is kept and its target replaced. `mode` is enforced. Without it an existing file
    keeps its mode, unless it is world-readable, since it may have a token: that one and a new one
    get 0600. Run by root, the file keeps its owner, or gets that of its folder. Raises
    `ConfigError` when it cannot be written."""
    target = Path(os.path.realpath(path))
    temporary: str | None = None
    try:
        make_folder(target.parent)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            _like(file.fileno(), target, mode)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        raise ConfigError(
            f"{target}: cannot be written: {error.strerror or error}. "
            "Check the folder's owner, its free space and that it is not read-only."
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def make_folder(folder: Path) -> None:
    """Create the folder and its parents, 0700. Created by root, they get the owner of the folder
    above (a container's user, whose home root prepares)."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        above = folder.parent.stat()
        os.chown(folder, above.st_uid, above.st_gid)


def _like(handle: int, target: Path, mode: int | None) -> None:
    try:
        before: os.stat_result | None = target.stat()
    except FileNotFoundError:
        before = None
    if mode is None:
        mode = stat.S_IMODE(before.st_mode) if before else 0o600
        mode = 0o600 if mode & 0o007 else mode
    os.fchmod(handle, mode)
    if os.geteuid() == 0:
        owner = before or target.parent.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
