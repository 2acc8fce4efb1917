"""The rate limit of log records."""

from __future__ import annotations

import logging
import sys

import pytest

from agentapi.daemon.logs import INTERVAL, RateLimit


def record(
    text: str, *args: object, name: str = "agentapi.x", at: float = 0.0, **more: object
) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, __file__, 1, text, args, None)
    made.created = at
    made.__dict__.update(more)
    return made


def logged(*records: logging.LogRecord) -> list[str]:
    seldom = RateLimit()
    return [one.getMessage() for one in records if seldom.filter(one)]


def failed(how: type[Exception]) -> logging.LogRecord:
    try:
        raise how("again")
    except Exception:
        return record("handle failed", name="asyncio", exc_info=sys.exc_info())


def test_one_a_minute_and_how_many_more() -> None:
    made = [record("full: %d", n, at=n / 100, seldom=True) for n in range(1000)]
    assert logged(*made, record("full: %d", 7, at=INTERVAL, seldom=True)) == [
        "full: 0",
        "full: 7 (999 more were not logged)",
    ]


def test_of_each_kind() -> None:
    made = [record("full", seldom=True), record("empty", seldom=True), record("full", seldom=True)]
    assert logged(*made) == ["full", "empty"]


def test_what_is_not_said_to_be_seldom_is_always_logged() -> None:
    assert logged(record("a notice"), record("a notice")) == ["a notice", "a notice"]


@pytest.mark.parametrize("name", ["asyncio", "aiohttp.server"])
def test_the_libraries_own_are_seldom(name: str) -> None:
    text = "socket.accept() out of system resource\nsocket: fd=%d"
    assert len(logged(*[record(text % fd, name=name) for fd in range(128)])) == 1


def test_other_errors_at_other_places_are_other_kinds() -> None:
    assert len(logged(failed(OSError), failed(OSError), failed(ValueError))) == 2
