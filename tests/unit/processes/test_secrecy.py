"""In a process of its own, looked at by a child, as an agent looks at the server above it."""

from __future__ import annotations

import os
import subprocess
import sys

LOOK = """
import os
parent = f"/proc/{os.getppid()}"

def variables():
    with open(f"{parent}/environ", "rb") as file:
        text = file.read()
    return "variables" + " secret" * (b"secret-word" in text) + " beside" * (b"kept" in text)

def files():
    return "files" if os.readlink(f"{parent}/fd/0") else ""

def memory():
    with open(f"{parent}/maps") as maps, open(f"{parent}/mem", "rb", buffering=0) as mem:
        mem.seek(int(maps.readline().partition("-")[0], 16))
        return "memory" if mem.read(1) else ""

for look in (variables, files, memory):
    try:
        print(look())
    except PermissionError:
        print("no", look.__name__)
"""
RUN = """
import os, subprocess, sys
from agentapi.processes import secrecy
if sys.argv[2] != "tell":
    {"keep": secrecy.keep_secret, "forget": secrecy._wipe}[sys.argv[2]]("SECRET")
    assert "SECRET" not in os.environ and os.environ["BESIDE"] == "kept"
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
"""Root without its powers is like any other user to a process of its own."""


def look(how: str) -> list[str]:
    """What a child sees of its parent."""
    done = subprocess.run(
        [*(POWERLESS if os.geteuid() == 0 else ()), sys.executable, "-c", RUN, LOOK, how],
        env={**os.environ, "SECRET": "secret-word", "BESIDE": "kept"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_child_reads_all_of_its_parent() -> None:
    assert look("tell") == ["variables secret beside", "files", "memory"]


def test_a_variable_that_is_forgotten_stands_nowhere_in_the_environment() -> None:
    assert look("forget") == ["variables beside", "files", "memory"]


def test_of_one_that_keeps_a_secret_it_reads_nothing() -> None:
    assert look("keep") == ["no variables", "no files", "no memory"]
