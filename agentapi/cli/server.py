"""The composition root of `agentapi server`: creates all parts, and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from agentapi.agents.driver import Driver
from agentapi.agents.offers.parts import Compose, Driven, Parts
from agentapi.agents.offers.store import open_store
from agentapi.agents.registry import agent_of
from agentapi.cli.stdin_prompt import of_stdin
from agentapi.daemon.notify import Notifier
from agentapi.daemon.signals import Signals
from agentapi.daemon.sockets import beyond_loopback, urls
from agentapi.http.app import HttpOptions, create_app
from agentapi.http.server import HttpServer
from agentapi.processes.callers import Callers, identification_problem
from agentapi.processes.orphans import Orphans
from agentapi.processes.tree import Family
from agentapi.session.info import failure
from agentapi.session.session import AgentSession
from agentapi.settings.settings import ServerSettings
from agentapi.storage.state import RestoredState

GRACE = 5.0
"""Seconds from the SIGINT to the agent to its SIGKILL."""
AGENT_FAILED = 1

_log = logging.getLogger(__name__)


async def serve(
    settings: ServerSettings,
    sockets: Sequence[socket.socket],
    signals: Signals,
    compose: Compose | None = None,
) -> int:
    """Run the agent and serve its API until a signal or the agent's end; return the exit status.

    `compose` creates other parts than the settings alone would."""
    family = Family()
    parts = compose(of_stdin) if compose is not None else _parts(settings)
    orphans, callers = Orphans(family, spare=parts.outlives), Callers(family)
    store, driver = parts.store, parts.driver
    notifier = Notifier(os.environ)
    session = AgentSession(
        driver,
        agent_type=settings.type,
        store=store,
        initial_prompt=parts.initial_prompt,
        history=parts.history,
        about=parts.about,
        on_phase=lambda state: notifier.status(f"{state.phase}: {state.reason}"),
        verbatim=settings.message_format == "markdown" and parts.transcript is not None,
    )
    if store is not None:
        store.warn = session.warn
    signals.attach(functools.partial(notifier.reload, session.save))
    server = HttpServer(create_app(session, _http_options(settings, callers)), sockets)
    await server.start()
    _log.info("serving on %s, agent type %s", ", ".join(urls(sockets)), settings.type)
    notifier.ready()
    notifier.status("starting: serving on " + ", ".join(urls(sockets)))
    notifier.watch(functools.partial(_is_reading, driver))
    _warn_about_access(settings, sockets, callers)
    async with contextlib.AsyncExitStack() as stack:  # in reverse order, even if one fails
        stack.callback(notifier.close)
        if store is not None:
            stack.push_async_callback(store.close)
        stack.push_async_callback(orphans.end)
        if parts.close is not None:
            stack.push_async_callback(parts.close)
        if parts.transcript is not None:
            stack.push_async_callback(parts.transcript.stop)
            parts.transcript.bind(session.transcript)
        stack.push_async_callback(session.stop, GRACE)
        stack.push_async_callback(server.stop)
        stack.callback(notifier.stopping)
        failure = await _run_agent(session, signals)
        session.save()
    if failure:
        print(failure, file=sys.stderr)  # noqa: T201
    return AGENT_FAILED if failure else 0


def _warn_about_access(
    settings: ServerSettings, sockets: Sequence[socket.socket], callers: Callers
) -> None:
    """Log who can control the agent, but perhaps should not."""
    if settings.allow_agent_requests:
        _log.warning(
            "the agent may send to its own server: %s", ", ".join(settings.allow_agent_requests)
        )
    if settings.auth_token is not None:
        return
    if beyond_loopback(sockets):
        _log.warning("other machines may command the agent: no token is asked for")
    if reason := identification_problem(callers):
        _log.warning(
            "the agent's own requests cannot be told from others', and no token is asked for: both"
            " are refused where they type, answer or show the terminal (%s)",
            reason,
        )


async def _run_agent(session: AgentSession, signals: Signals) -> str:
    """Start the agent and wait for its end or a signal; return how it failed, if it did."""
    signalled = asyncio.create_task(signals.wait_for_end(), name="wait for a signal")
    ended = asyncio.create_task(_start_and_wait(session), name="wait for the agent")
    try:
        await asyncio.wait((signalled, ended), return_when=asyncio.FIRST_COMPLETED)
        if signalled.done():
            _log.info("ending on a signal")
            return ""
        return ended.result()
    except OSError as error:
        reason = error.strerror or str(error)
        return f"Error: the agent could not be started: {reason}"
    finally:
        for task in (signalled, ended):
            task.cancel()
        await asyncio.gather(signalled, ended, return_exceptions=True)


async def _start_and_wait(session: AgentSession) -> str:
    await session.start()
    return failure(await session.wait())


def _parts(settings: ServerSettings) -> Parts:
    store, driven = open_store(settings), _driven(settings)
    return Parts(
        driver=driven.driver,
        store=store,
        history=store.load() if store is not None else RestoredState(),
        initial_prompt=settings.initial_prompt if settings.initial_prompt.strip() else of_stdin(),
        about=functools.partial(_about, driven),
        transcript=driven.transcript,
        outlives=driven.outlives,
    )


def _driven(settings: ServerSettings) -> Driven:
    if settings.experimental_acp:
        from agentapi.agents.acp.drive import drive

        return drive(settings)
    agent = agent_of(settings.type)
    return agent.driver(agent, settings)


def _http_options(settings: ServerSettings, callers: Callers) -> HttpOptions:
    return HttpOptions(
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        chat_base_path=settings.chat_base_path,
        auth_token=settings.auth_token,
        callers=callers,
        allow_agent_requests=settings.allow_agent_requests,
        terminal_size=(settings.term_width, settings.term_height),
    )


def _is_reading(driver: Driver) -> bool:
    """Whether the agent's output arrives, as far as the driver knows."""
    reading: Callable[[], bool] | None = getattr(driver, "reading", None)
    return reading is None or reading()


def _about(driven: Driven) -> dict[str, object]:
    """Return the members of `GET /session` that the session does not have."""
    names = ("session_id", "agent_version", "usage", "link")
    driver, transcript = driven.driver, driven.transcript
    known = {name: getattr(driver, name, None) or getattr(transcript, name, None) for name in names}
    known |= driven.facts
    with contextlib.suppress(OSError):
        known["workdir"] = str(Path.cwd())
    return {name: value or None for name, value in known.items()}
