"""What it costs to tell who is at the other end of a connection: `python -m benchmarks.callers`.

Milliseconds of the processor, as they are paid once a connection: of a client that has just started
(it has the highest process id), of one that called before, and of one that started long ago and
calls for the first time. Beside it, as many idle processes as a busy machine has, each with some
open files.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from agentapi.processes.callers import Callers, Kin
from agentapi.processes.tree import Family, pids

PROCESSES = 300
FILES = 60
ROUNDS = 50
CLIENT = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
sys.stdin.read()
"""
IDLE = f"import sys; files = [open('/dev/null') for _ in range({FILES})]; sys.stdin.read()"


def main() -> None:
    """Print the table."""
    family = Family()
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        stack.enter_context(program(CLIENT, port))
        old, _ = server.accept()
        for _ in range(PROCESSES):
            stack.enter_context(program(IDLE))
        stack.enter_context(program(CLIENT, port))
        new, _ = server.accept()
        print(f"{len(pids())} processes; milliseconds: minimum, median, maximum of {ROUNDS}")
        for name, connection, again in (
            ("just started", new, False),
            ("called before", old, True),
            ("started long ago", old, False),
        ):
            times = measured(family, connection, again)
            print(f"{name:18}", *(f"{each:7.2f}" for each in times))


@contextmanager
def program(*words: str) -> Iterator[None]:
    """A Python program that runs until the end of its input."""
    with subprocess.Popen([sys.executable, "-S", "-c", *words], stdin=subprocess.PIPE):
        yield


def measured(family: Family, connection: socket.socket, again: bool) -> tuple[float, float, float]:
    """Minimum, median, maximum."""
    callers = Callers(family)
    times = []
    for _ in range(ROUNDS):
        callers = callers if again else Callers(family)
        since = time.thread_time()
        caller = callers.identify(connection.getpeername(), connection.getsockname())
        times.append((time.thread_time() - since) * 1000)
        assert caller.kin is Kin.OURS
    return min(times), statistics.median(times), max(times)


if __name__ == "__main__":
    main()
