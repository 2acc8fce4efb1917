"""In a process of its own: who adopts orphans does so for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import alive

RUN = """
import asyncio, os, sys
from agentapi.processes.orphans import Orphans, mark_waited
from agentapi.processes.tree import Family, children, stat_of
from tests.support.daemon import eventually

def zombies():
    return [child.pid for child in children(os.getpid()) if child.state == "Z"]

async def shell(words):
    child = await asyncio.create_subprocess_exec("sh", "-c", words, stdout=-1)
    mark_waited(child.pid)
    assert await child.wait() == 0
    return (await child.stdout.readline()).decode().split()

async def main():
{body}

asyncio.run(main())
"""


def run(body: str, *, prefix: tuple[str, ...] = ()) -> list[str]:
    """What the body prints, in words."""
    indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
    done = subprocess.run(
        [*prefix, sys.executable, "-c", RUN.format(body=indented)],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


DEAF = "(setsid sh -c 'trap : TERM; echo $$; exec >&- 2>&-; while :; do sleep 600; done' &)"
DETACHED = "(setsid sh -c 'echo $$; exec sleep 600 >&- 2>&-' &)"


def test_what_detaches_itself_is_still_of_the_family_and_ends_with_it() -> None:
    (pid,) = run(f"""
family = Family()
orphans = Orphans(family)
(pid,) = await shell({DETACHED!r})
assert stat_of(int(pid)).parent == os.getpid()
assert family.has(int(pid))
await orphans.end()
assert stat_of(int(pid)) is None
print(pid)
""")
    assert not alive(int(pid))


def test_who_ignores_the_request_to_end_is_killed() -> None:
    run(f"""
orphans = Orphans(Family())
(pid,) = await shell({DEAF!r})
await orphans.end(0.1)
assert stat_of(int(pid)) is None
""")


def test_orphans_are_reaped_and_own_children_are_not() -> None:
    run("""
orphans = Orphans(Family())
mine = os.fork()
if not mine:
    os._exit(7)
mark_waited(mine)
(pid,) = await shell("(setsid sh -c 'echo $$' &)")
await eventually(lambda: stat_of(int(pid)) is None)
assert zombies() == [mine]
await orphans.end()
assert os.waitpid(mine, 0) == (mine, 7 << 8)
""")


def test_after_the_end_nothing_is_adopted() -> None:
    (pid,) = run(f"""
await Orphans(Family()).end()
(pid,) = await shell({DETACHED!r})
assert stat_of(int(pid)).parent != os.getpid()
print(pid)
""")
    os.kill(int(pid), signal.SIGKILL)


def test_a_spared_one_is_left() -> None:
    (pid,) = run(f"""
orphans = Orphans(Family(), spare=lambda pid: stat_of(pid).name == "sleep")
(pid,) = await shell({DETACHED!r})
await eventually(lambda: stat_of(int(pid)).name == "sleep")
await orphans.end()
print(pid)
""")
    assert alive(int(pid))
    os.kill(int(pid), signal.SIGKILL)


def test_who_was_there_before_is_left(tmp_path: Path) -> None:
    """A shell may start a program beside, and then turn into the server."""
    note = tmp_path / "pid"
    beside = f'sleep 600 <&- >&- 2>&- & echo $! >{note}; exec "$@"'
    run(
        f"""
family = Family()
orphans = Orphans(family)
before = int(open({str(note)!r}).read())
assert stat_of(before).parent == os.getpid()
assert not family.has(before)
await orphans.end()
""",
        prefix=("sh", "-c", beside, "sh"),
    )
    pid = int(note.read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("ends", ["kill -9 $$", "exit 3"])
def test_the_end_of_an_own_child_is_told_to_its_starter(ends: str) -> None:
    run(f"""
orphans = Orphans(Family())
for _ in range(20):
    child = await asyncio.create_subprocess_exec("sh", "-c", {ends!r})
    mark_waited(child.pid)
    assert await child.wait() in (-9, 3)
await orphans.end()
""")
