"""Notifies the service manager by the protocol of sd_notify(3): datagrams of `NAME=value` lines.

Without `NOTIFY_SOCKET` every call is a no-op. If the service manager cannot be reached, that is
logged once, and the service goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping

_MAX_UNSENT = 16
"""The maximum number of unsent messages; the oldest are dropped first."""

_log = logging.getLogger(__name__)


class Notifier:
    """Reports this process's state to its service manager. Lives on one event loop."""

    def __init__(self, environment: Mapping[str, str], pid: int | None = None) -> None:
        """`environment` has NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; `pid` is this process's.
        The socket is opened by the first message."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._interval = _watchdog_interval(environment, os.getpid() if pid is None else pid)
        self._socket: socket.socket | None = None
        self._unsent: deque[str] = deque(maxlen=_MAX_UNSENT)
        self._timer: asyncio.TimerHandle | None = None
        self._ready = False
        self._warned = False

    def ready(self) -> None:
        """Report that the service is ready."""
        self._ready = True
        self._send(f"READY=1\nMAINPID={os.getpid()}")

    def status(self, text: str) -> None:
        """Report a status line, shown by `systemctl status`."""
        self._send("STATUS=" + " ".join(text.split()))

    def reload(self, work: Callable[[], None]) -> None:
        """Do `work`, reported as a reload if the service is ready."""
        if not self._ready:
            work()
            return
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")
        try:
            work()
        finally:
            self._send("READY=1")

    def watch(self, alive: Callable[[], bool]) -> None:
        """Ping the watchdog, if there is one, at half its timeout, as long as this loop runs and
        `alive` returns true. `alive` is called once each interval."""
        if self._address is None or self._interval is None:
            return
        if alive():
            self._send("WATCHDOG=1")
        else:
            _log.error("the watchdog is not fed: the agent's output does not arrive any more")
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval, self.watch, alive)

    def stopping(self) -> None:
        """Report that the service stops, and end the watchdog: stopping has its own timeout."""
        self._end_watch()
        self._send("STOPPING=1")

    def close(self) -> None:
        """Drop unsent messages and close the socket. Idempotent."""
        self._end_watch()
        self._unsent.clear()
        self._disconnect()

    def _end_watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        if self._unsent and _supersedes(self._unsent[-1], message):
            self._unsent.pop()
        self._unsent.append(message)
        self._flush()

    def _flush(self) -> None:
        """Send the unsent messages in order, as far as the service manager takes them."""
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
    """Parse the socket's address: a path, or `@name` in the abstract namespace. None if there is
    none, or an unsupported one (logged)."""
    if not given:
        return None
    if given.startswith("@"):
        return "\0" + given[1:]
    if given.startswith("/"):
        return given
    _log.warning("NOTIFY_SOCKET: %r is neither a path nor @name: nobody is told", given)
    return None


def _watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Return the seconds between two pings, half the watchdog's timeout; None: no watchdog."""
    watchdog_pid = environment.get("WATCHDOG_PID", "")
    microseconds = environment.get("WATCHDOG_USEC", "")
    if watchdog_pid not in ("", str(pid)) or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2e6


def _supersedes(old: str, new: str) -> bool:
    """Whether a new message makes an old one obsolete."""
    name = new.partition("=")[0]
    return name in ("STATUS", "WATCHDOG") and old.startswith(f"{name}=")
