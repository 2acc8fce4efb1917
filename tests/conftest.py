"""Fixtures of all tests, and the rule that CI skips nothing that it could have run."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agentapi.scripted import ScriptedModel
from tests.support.agents import Agent, make_agent
from tests.support.codex import CodexHome, codex_binary, codex_home
from tests.support.server import scratch_folder

NEEDS_PROGRAMS = ("codex", "agents", "browser")
MOST_WORKERS = 12
MAY_BE_RETRIED: dict[str, str] = {
    "tests/e2e/test_resume.py::test_without_a_prompt_the_session_is_learned_later": (
        "once the transcript had the last user message twice; not seen again in 72 tries under load"
    ),
}
"""Tests that may be tried twice more when they fail, by id without parameters, and the reason."""


# A busy machine is no fault of what a test makes up. CI makes up the same each time: what is found
# by chance is found where somebody can look at it.
settings.register_profile(
    "busy",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("busy")


def pytest_configure() -> None:
    """In the background of a script or under nohup these signals are ignored, and every program
    that a test starts would inherit that. What is handled, if only by doing nothing, is not
    inherited."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """The workers of `-n auto`: three for two processors, as many tests wait for a program."""
    processors = len(os.sched_getaffinity(0))
    return max(2, min(processors * 3 // 2, MOST_WORKERS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # the report passes through
    """With CI=true, turn a skip of a test that needs an agent or a browser into a failure."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    marked = any(item.get_closest_marker(name) for name in NEEDS_PROGRAMS)
    if os.environ.get("CI") == "true" and marked and report.skipped and _is_skip(report):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longrepr}"
    return report  # type: ignore[return-value]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for programs come first: the many quick ones fill the end, when some workers
    would have nothing to do. Only a test of `MAY_BE_RETRIED` is tried again; the summary names each
    that was (`-rR`)."""
    items.sort(key=lambda item: item.nodeid.startswith("tests/unit/"))
    for item in items:
        if item.nodeid.partition("[")[0] in MAY_BE_RETRIED:
            item.add_marker(pytest.mark.flaky(reruns=2))


def _is_skip(report: pytest.TestReport) -> bool:
    return not hasattr(report, "wasxfail")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder of its own; see `scratch_folder`."""
    with scratch_folder() as folder:
        yield folder


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    """A scripted model that is up."""
    async with ScriptedModel() as running:
        yield running


@pytest.fixture
def home(scratch: Path, model: ScriptedModel) -> CodexHome:
    """A Codex home that asks `model` and allows everything; see `codex_home` for other kinds."""
    return codex_home(scratch, model.url)


@pytest.fixture
def codex() -> Callable[[str | None], Path]:
    """`codex(version)`: the launcher of an installed Codex; skips the test where it is missing."""

    def find(version: str | None = None) -> Path:
        try:
            return codex_binary(version)
        except FileNotFoundError as error:
            pytest.skip(str(error))

    return find


@pytest.fixture
def agent(scratch: Path, model: ScriptedModel) -> Callable[..., Agent]:
    """`agent(name, trusted=True)`: one of the other agents with a new home; see `make_agent`.
    Skips the test where the program is missing."""

    def make(name: str, **options: bool) -> Agent:
        try:
            return make_agent(name, scratch, model, **options)
        except FileNotFoundError as error:
            pytest.skip(str(error))

    return make
