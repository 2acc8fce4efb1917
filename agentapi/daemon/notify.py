"""What a service manager is told, in the protocol of sd_notify(3): datagrams of `NAME=value` lines.

Without `NOTIFY_SOCKET` every call returns at once. The service manager is told and not asked: when
it cannot be reached the log says so once, and the service goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping

_MOST_UNSENT = 16
"""Messages that wait while the service manager does not read; the oldest go first."""

_log = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager that started this process how it is. Lives on one event loop."""

    def __init__(self, environment: Mapping[str, str], pid: int | None = None) -> None:
        """`environment` is read for NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; `pid` is this
        process's. Nothing is opened before the first message."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._interval = _watchdog_interval(environment, os.getpid() if pid is None else pid)
        self._socket: socket.socket | None = None
        self._unsent: deque[str] = deque(maxlen=_MOST_UNSENT)
        self._timer: asyncio.TimerHandle | None = None
        self._ready = False
        self._warned = False

    def ready(self) -> None:
        """The service answers."""
        self._ready = True
        self._tell(f"READY=1\nMAINPID={os.getpid()}")

    def status(self, text: str) -> None:
        """One line for people, as `systemctl status` shows it."""
        self._tell("STATUS=" + " ".join(text.split()))

    def reload(self, work: Callable[[], None]) -> None:
        """Do `work`, told as a reload once the service is ready."""
        if not self._ready:
            work()
            return
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={now}")
        try:
            work()
        finally:
            self._tell("READY=1")

    def watch(self, alive: Callable[[], bool]) -> None:
        """Feed the watchdog at half its time, where there is one, for as long as this loop runs
        and `alive` says so. Each later call of `alive` is one interval after the one before."""
        if self._address is None or self._interval is None:
            return
        if alive():
            self._tell("WATCHDOG=1")
        else:
            _log.error("the watchdog is not fed: the agent's output does not arrive any more")
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval, self.watch, alive)

    def stopping(self) -> None:
        """The service ends. The watchdog is fed no more: stopping has a time limit of its own."""
        self._end_watch()
        self._tell("STOPPING=1")

    def close(self) -> None:
        """Give up what was not sent, and the socket. Idempotent."""
        self._end_watch()
        self._unsent.clear()
        self._disconnect()

    def _end_watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, message: str) -> None:
        if self._address is None:
            return
        if self._unsent and _same_kind(self._unsent[-1], message):
            self._unsent.pop()
        self._unsent.append(message)
        self._flush()

    def _flush(self) -> None:
        """Send what waits, in order; what the service manager cannot take yet waits on."""
        try:
            connected = self._connected()
            while self._unsent:
                connected.send(self._unsent[0].encode())
                self._unsent.popleft()
        except BlockingIOError:
            assert self._socket is not None
            asyncio.get_running_loop().add_writer(self._socket, self._flush)
        except OSError as error:
            self._unsent.clear()
            self._disconnect()
            self._warn(error)
        else:
            asyncio.get_running_loop().remove_writer(connected)

    def _connected(self) -> socket.socket:
        assert self._address is not None
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            self._socket.connect(self._address)
        return self._socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket)
            self._socket.close()
            self._socket = None

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("NOTIFY_SOCKET: the service manager cannot be told: %s", error)


def _address(given: str) -> str | None:
    """The socket's address: a path, or `@name` in the abstract namespace; None when there is none
    or one that this cannot speak to (logged)."""
    if not given:
        return None
    if given.startswith("@"):
        return "\0" + given[1:]
    if given.startswith("/"):
        return given
    _log.warning("NOTIFY_SOCKET: %r is neither a path nor @name: nobody is told", given)
    return None


def _watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two feedings, half of what the service manager waits; None: no watchdog."""
    for_whom = environment.get("WATCHDOG_PID", "")
    microseconds = environment.get("WATCHDOG_USEC", "")
    if for_whom not in ("", str(pid)) or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2e6


def _same_kind(before: str, now: str) -> bool:
    """Whether the newer message makes the older one needless."""
    name = now.partition("=")[0]
    return name in ("STATUS", "WATCHDOG") and before.startswith(f"{name}=")
