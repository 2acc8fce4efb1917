"""The state file: keeps the conversation across restarts and intact after `kill -9`.

The file is upstream's (`{"version":1,"messages":[…],"initial_prompt":…,"initial_prompt_sent":…}`),
so either server loads the other's. Values for which it has no member are in `NAME.extra.json`.

A save is complete when the call returns: a temporary file is renamed over the old one. Only the
fsync, which guards against a power cut and not against a killed process, lags by up to a second,
off the event loop.

A file that cannot be read is never overwritten: it may be the only copy. The conversation is then
saved to `NAME.recovery`, and loaded from there as long as the file stays unreadable. Disk errors go
to `warn` instead of being raised, and the agent goes on.
"""

from __future__ import annotations

import asyncio
import glob
import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from agentapi.files import write_atomically
from agentapi.model.conversation import Message, Role
from agentapi.model.encoding import parse_rfc3339, rfc3339
from agentapi.processes.locks import HeldFile, hold
from agentapi.storage.state import RestoredState, SavedState

__all__ = ["RestoredState", "SavedState", "StateStore"]

T = TypeVar("T")

VERSION = 1
_FAILED = "Failed to restore previous session: "
"""The start of upstream's message."""
SYNC_DELAY = 1.0
"""Seconds from a save to its fsync."""

_log = logging.getLogger(__name__)


class StateStore:
    """The state file at `path`: loaded once, saved on every change, closed once."""

    def __init__(
        self,
        path: Path,
        *,
        load: bool = True,
        save: bool = True,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        """`warn` is called once for each reason that the state cannot be saved."""
        path = Path(os.path.realpath(path))  # a rename would replace a link, not its target
        self.warn = warn
        self._loads = load
        self._saves = save
        self._main = _StateFile(path)
        self._extra = _StateFile(path.with_name(path.name + ".extra.json"))
        self._encoded: dict[int, tuple[Message, bytes]] = {}
        self._failure = ""
        self._sync_timer: asyncio.TimerHandle | None = None
        self._sync_task: asyncio.Task[None] | None = None
        self._held: HeldFile | None = None

    def hold(self) -> None:
        """Lock `NAME.lock` until `close`, so that no other process saves there: the file itself is
        replaced by each save. Raises `InUse` or `OSError`."""
        if self._saves and self._held is None:
            path = self._main.path
            self._held = hold(path.with_name(path.name + ".lock"))

    def load(self) -> RestoredState:
        """Load the state. It is empty if there is no file, and has warnings if one cannot be read.
        Never raises."""
        if not self._loads:
            return RestoredState()
        state, warnings = self._main.load(parse_state)
        if state is None:
            return RestoredState(warnings=warnings)
        extra, more = self._extra.load(_parse_extra)
        return RestoredState(
            messages=state.messages,
            initial_prompt=state.initial_prompt,
            initial_prompt_sent=state.initial_prompt_sent,
            extra=extra or {},
            warnings=warnings + more,
        )

    def save(self, state: SavedState) -> None:
        """Write what changed; it is in the files on return. Errors go to `warn`, and the next save
        tries again."""
        if not self._saves:
            return
        try:
            wrote = self._main.save(self._encode(state))
            if state.extra or self._extra.exists:
                wrote |= self._extra.save(_dumps({"version": VERSION, **state.extra}))
        except OSError as error:
            self._report(error)
            return
        if self._failure:
            _log.info("the conversation is saved again to %s", self._main.target)
            self._failure = ""
        if wrote:
            self._sync_soon()

    def set_aside(self) -> Path | None:
        """Keep the files as `NAME.TIME`, because another conversation begins. Return the new path,
        or None if there is no file.

        A file that was kept before is not kept again. Raises `OSError`."""
        source = self._main.target
        if source is None or not source.exists():
            return None
        aside = _free_name(source)
        extra = self._extra.target
        if extra is not None and extra.exists():
            _keep(extra, aside.with_name(aside.name + ".extra.json"))
        _keep(source, aside)  # last: it marks the copy as complete
        return aside

    async def close(self) -> None:
        """Sync the files to disk and release the lock."""
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None
        if self._sync_task is not None:
            await self._sync_task
        if self._saves:
            await asyncio.to_thread(self._sync_files)
        if self._held is not None:
            self._held.remove()
            self._held = None

    def _encode(self, state: SavedState) -> bytes:
        """Encode the state; a message is encoded again only if it changed."""
        encoded = self._encoded
        parts: list[bytes] = []
        for message in state.messages:
            known = encoded.get(message.id)
            if known is None or (known[0] is not message and known[0] != message):
                encoded[message.id] = known = (message, _dumps(_message_json(message)))
            parts.append(known[1])
        prompt = _dumps(state.initial_prompt)
        sent = b"true" if state.initial_prompt_sent else b"false"
        return b'{"version":%d,"messages":[%s],"initial_prompt":%s,"initial_prompt_sent":%s}\n' % (
            VERSION,
            b",\n".join(parts),
            prompt,
            sent,
        )

    def _report(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if reason != self._failure:
            self._failure = reason
            self.warn(
                f"the conversation cannot be saved to {self._main.target}: {reason};"
                " it is kept in memory and saving is tried again at every change"
            )

    def _sync_soon(self) -> None:
        if self._sync_timer is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # used without an event loop: close() does it
            return
        self._sync_timer = loop.call_later(SYNC_DELAY, self._start_sync)

    def _start_sync(self) -> None:
        self._sync_timer = None
        if self._sync_task is None or self._sync_task.done():
            self._sync_task = asyncio.create_task(asyncio.to_thread(self._sync_files))
        else:
            self._sync_soon()

    def _sync_files(self) -> None:
        try:
            for file in (self._main, self._extra):
                file.sync()
        except OSError as error:
            _log.warning("cannot sync %s: %s", self._main.target, error)


class _StateFile:
    """One file: its path, where it is written, and its known content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.target: Path | None = path
        """Where to save; None if there is nothing that may be overwritten."""
        self.exists = False
        """Whether we wrote it or read it."""
        self._saved: bytes | None = None

    def load(self, parse: Callable[[bytes], T]) -> tuple[T | None, tuple[str, ...]]:
        """Load the content (None if there is none) and the warnings about it."""
        try:
            return self._read(self.path, parse), ()
        except FileNotFoundError:
            return None, ()
        except _EmptyFile:
            reason = f"{_FAILED}the state file {self.path} is empty: the conversation starts anew"
            return None, (reason,)
        except (OSError, ValueError) as error:
            reason = _reason(error)
        recovery = self.path.with_name(self.path.name + ".recovery")
        trouble = f"{_FAILED}the state file {self.path} could not be loaded: {reason}."
        try:
            state = self._read(recovery, parse) if _newer(recovery, self.path) else None
        except _EmptyFile:
            state = None
        except (OSError, ValueError) as error:
            self.target = None
            return None, (
                f"{trouble} Nor could {recovery}: {_reason(error)}. Both are left as they are and"
                " the conversation is not saved: move them away and start again",
            )
        self.target = recovery
        found = "continued from and saved to" if state is not None else "saved to"
        return state, (f"{trouble} It is left as it is; the conversation is {found} {recovery}",)

    def save(self, data: bytes) -> bool:
        """Write `data` unless it is there already. Return whether it was written."""
        if self.target is None or data == self._saved:
            return False
        write_atomically(self.target, data)
        self._saved = data
        self.exists = True
        return True

    def sync(self) -> None:
        """Sync the file and its folder to disk."""
        if self.target is None or self._saved is None:
            return
        for path, flags in ((self.target, 0), (self.target.parent, os.O_DIRECTORY)):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _read(self, path: Path, parse: Callable[[bytes], T]) -> T:
        if not path.is_file():
            path.stat()  # raises FileNotFoundError if it is missing
            raise ValueError("it is not a regular file")
        data = path.read_bytes()
        if not data.strip():
            raise _EmptyFile
        state = parse(data)
        self.exists = True
        return state


class _EmptyFile(Exception):
    """The file is empty, so overwriting it loses nothing."""


def _free_name(source: Path) -> Path:
    """Return a name for a kept file: the one it has already, else a new one."""
    for known in source.parent.glob(f"{glob.escape(source.name)}.*Z*"):
        if known.samefile(source):
            return known
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return source.with_name(f"{source.name}.{stamp}")


def _keep(source: Path, name: Path) -> None:
    """Give a file a second name. Saves replace the file, so the second name keeps this content."""
    if name.exists():
        return
    try:
        name.hardlink_to(source)
    except OSError:  # a file system without links
        write_atomically(name, source.read_bytes())


def parse_state(data: bytes) -> SavedState:
    """Parse a state file. Raises `ValueError` that says what is wrong."""
    document = _object(data)
    version = document.get("version")
    if version != VERSION or isinstance(version, bool):
        raise ValueError(f"its version is {version!r:.40}, this program knows {VERSION}")
    items = document.get("messages")
    if not isinstance(items, list | None):  # upstream writes null for none
        raise ValueError("messages is not a list")
    prompt = document.get("initial_prompt") or ""
    sent = document.get("initial_prompt_sent") or False
    if not isinstance(prompt, str) or not isinstance(sent, bool):
        raise ValueError("initial_prompt is not a text or initial_prompt_sent not a boolean")
    return SavedState(
        messages=tuple(_message(number, item) for number, item in enumerate(items or ())),
        initial_prompt=_replace_surrogates(prompt),
        initial_prompt_sent=sent,
    )


def _parse_extra(data: bytes) -> dict[str, Any]:
    document = _object(data)
    if document.pop("version", None) != VERSION:
        raise ValueError(f"its version is not {VERSION}")
    return document


def _object(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    return document


def _message(number: int, item: object) -> Message:
    """Parse message `number` of the file. Its id is its position, as the wire requires."""
    if not isinstance(item, dict):
        raise ValueError(f"message {number} is not an object")
    content, role, time = item.get("message"), item.get("role"), item.get("time")
    if not isinstance(content, str):
        raise ValueError(f"message {number} has no text")
    if role not in (Role.USER, Role.AGENT):
        raise ValueError(f"message {number} has the role {role!r:.40}, not user or agent")
    return Message(
        id=number, role=Role(role), content=_replace_surrogates(content), time=_time(number, time)
    )


def _time(number: int, text: object) -> datetime:
    try:
        return parse_rfc3339(str(text))
    except ValueError as error:
        raise ValueError(
            f"message {number} has the time {text!r:.40}, not an RFC 3339 one"
        ) from error


def _message_json(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "message": message.content,
        "role": message.role.value,
        "time": rfc3339(message.time),
    }


def _dumps(value: object) -> bytes:
    """Encode as JSON in UTF-8; a lone surrogate, which UTF-8 lacks, becomes a JSON escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which cannot be sent to clients."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _newer(first: Path, second: Path) -> bool:
    """Whether `first` exists and `second` did not change since."""
    try:
        changed = first.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    try:
        return changed >= second.stat().st_mtime_ns
    except OSError:
        return True


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
