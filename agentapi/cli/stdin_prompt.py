"""Reads the initial prompt from standard input while the server already serves."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
from collections.abc import Awaitable

SILENCE = 10.0
"""Seconds to wait for the first byte of standard input: a supervisor may leave it open without
writing to it."""
_BLOCK = 65536

_log = logging.getLogger(__name__)


def of_stdin() -> Awaitable[str | None] | None:
    """Return an awaitable for the prompt if standard input may have one; see `read_prompt`."""
    return read_prompt() if _may_hold_prompt() else None


def _may_hold_prompt() -> bool:
    """Whether standard input exists and is not a terminal."""
    try:
        return sys.stdin is not None and not os.isatty(sys.stdin.fileno())
    except (OSError, ValueError):  # closed, or not a real file
        return False


async def read_prompt(descriptor: int = 0, silence: float = SILENCE) -> str | None:
    """Read standard input to its end; return None if it is blank.

    Raises `OSError`, or `ValueError` if it is not UTF-8."""
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
        data = await _read_stream(descriptor, silence)
    else:  # a file or a device such as /dev/null: epoll takes neither
        data = await asyncio.to_thread(_read_file, descriptor)
    text = data.decode("utf-8").strip()
    if text:
        _log.info("the initial prompt came from standard input (%d bytes)", len(data))
    return text or None


def _read_file(descriptor: int) -> bytes:
    blocks = []
    while block := os.read(descriptor, _BLOCK):
        blocks.append(block)
    return b"".join(blocks)


async def _read_stream(descriptor: int, silence: float) -> bytes:
    """Read when data is available. The pipe stays blocking: other processes share it."""
    loop = asyncio.get_running_loop()
    blocks: list[bytes] = []
    ended: asyncio.Future[None] = loop.create_future()

    def give_up() -> None:
        _log.warning(
            "standard input is open but nothing came in %g s: no initial prompt is taken from it",
            silence,
        )
        ended.set_result(None)

    timer = loop.call_later(silence, give_up)

    def take() -> None:
        timer.cancel()
        try:
            block = os.read(descriptor, _BLOCK)
        except OSError as error:
            loop.remove_reader(descriptor)
            ended.set_exception(error)
            return
        blocks.append(block)
        if not block:
            loop.remove_reader(descriptor)
            ended.set_result(None)

    loop.add_reader(descriptor, take)
    try:
        await ended
    finally:
        timer.cancel()
        loop.remove_reader(descriptor)
    return b"".join(blocks)
