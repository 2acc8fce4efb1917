"""Identify processes reliably, although pids are reused.

A process is identified by its pid, its start time in clock ticks since boot, and the boot id, or by
a pidfd as long as that is open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from signal import Signals, pidfd_send_signal
from types import TracebackType

from agentapi.processes.tree import stat_of

_TO_GROUP = 1 << 2
"""PIDFD_SIGNAL_PROCESS_GROUP (pidfd_send_signal(2)), since Linux 6.9."""
_LISTENS = "0A"
"""TCP_LISTEN, as written in /proc/net/tcp."""


class Process:
    """One process, held by a pidfd. Use it as a context manager, or close it."""

    def __init__(self, pid: int) -> None:
        """Raises `ProcessLookupError` if there is no such process, or another `OSError`."""
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError as error:  # EINVAL: an impossible pid
            if error.errno in (errno.EINVAL, errno.ESRCH):
                raise ProcessLookupError(f"there is no process {pid}") from error
            raise
        self.pid = pid

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the pidfd."""
        os.close(self._pidfd)

    def signal(self, number: Signals) -> None:
        """Send a signal, unless the process has ended. Raises `PermissionError`."""
        with contextlib.suppress(ProcessLookupError):
            pidfd_send_signal(self._pidfd, number)

    def signal_group(self, number: Signals) -> None:
        """Send a signal to the process group it leads. Raises `PermissionError`."""
        with contextlib.suppress(ProcessLookupError):
            try:
                pidfd_send_signal(self._pidfd, number, None, _TO_GROUP)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                if not self.ended_within(0):  # older kernel; the pid is not reused yet
                    os.killpg(self.pid, number)

    def ended_within(self, seconds: float) -> bool:
        """Block until the process ends; return False after the timeout."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


def mark(pid: int) -> str:
    """Return a persistent identifier of a process; empty if there is none."""
    started = start_time(pid)
    return f"{pid} {started} {_boot()}" if started else ""


def start_time(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot; 0 if there is none, or it is a
    zombie."""
    stat = stat_of(pid)
    return 0 if stat is None or stat.state == "Z" else stat.started


def describe(pid: int) -> str:
    """Describe a process for people: its pid, start time and listening ports, as far as visible."""
    words = f"process {pid}"
    with contextlib.suppress(OSError, ValueError, StopIteration):
        words += f", running since {_since(pid):%Y-%m-%d %H:%M:%S} UTC"
    ports = sorted(listening_ports(pid))
    if ports:
        words += f", on port {' and '.join(map(str, ports))}"
    return words


def listening_ports(pid: int) -> set[int]:
    """Return the TCP ports that a process listens on, as far as visible in /proc."""
    sockets = set()
    ports = set()
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(descriptor.readlink()))
        for name in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and f"socket:[{fields[9]}]" in sockets:
                    ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def _since(pid: int) -> datetime:
    lines: Iterator[str] = iter(Path("/proc/stat").read_text().splitlines())
    boot = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    started = start_time(pid)
    if not started:
        raise ProcessLookupError
    return datetime.fromtimestamp(boot + started / os.sysconf("SC_CLK_TCK"), UTC)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "-"
