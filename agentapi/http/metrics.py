"""A session's numbers in Prometheus' text format. Imported on the first request."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from agentapi import __version__
from agentapi.model.conversation import Phase
from agentapi.session.session import AgentSession
from agentapi.session.stats import BUCKETS, Durations

__all__ = ["CONTENT_TYPE", "exposition"]


def exposition(session: AgentSession) -> bytes:
    """Return the current metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SessionCollector(session))
    return generate_latest(registry)


class _SessionCollector(Collector):
    def __init__(self, session: AgentSession) -> None:
        self._session = session

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics of the session."""
        yield from _gauges(self._session)
        yield from _counters(self._session)
        stats = self._session.stats
        yield _histogram("send", "Seconds from sending a message to its turn's begin", stats.sent)
        yield _histogram("done", "Seconds from the last text of a turn to its end", stats.done)


def _gauges(session: AgentSession) -> Iterable[Metric]:
    info = GaugeMetricFamily("agentapi_info", "The daemon", labels=["version", "agent_type"])
    info.add_metric([__version__, session.agent_type], 1)
    yield info
    phases = GaugeMetricFamily("agentapi_phase", "1 for the agent's phase", labels=["phase"])
    for phase in Phase:
        phases.add_metric([phase.value], float(phase is session.phase_state.phase))
    yield phases
    subscribers = GaugeMetricFamily("agentapi_subscribers", "Open event streams", labels=["stream"])
    subscribers.add_metric(["events"], len(session.hub))
    subscribers.add_metric(["screen"], len(session.screens))
    yield subscribers
    yield GaugeMetricFamily("agentapi_messages", "Messages", value=len(session.messages))


def _counters(session: AgentSession) -> Iterable[Metric]:
    hub, stats = session.hub, session.stats
    yield _count("turns", "User messages of the conversation", session.turn)
    yield _count("keystrokes", "Raw messages", stats.keystrokes)
    yield _count("events", "Events published", hub.published)
    yield _count("events_replaced", "Unsent updates that a newer one replaced", hub.replaced)
    yield _count("subscribers_dropped", "Subscribers that fell too far behind", hub.overflowed)
    yield _count("terminal_bytes", "Bytes handed to terminal clients", stats.terminal_bytes)
    failures = CounterMetricFamily(
        "agentapi_send_failures", "Messages that could not be sent", labels=["step"]
    )
    for step, count in stats.send_failures.items():
        failures.add_metric([step], count)
    yield failures


def _count(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"agentapi_{name}", help_text, value=value)


def _histogram(name: str, help_text: str, durations: Durations) -> Metric:
    bounds = [*map(str, BUCKETS), "+Inf"]
    sums = [float(sum(durations.counts[: end + 1])) for end in range(len(bounds))]
    return HistogramMetricFamily(
        f"agentapi_{name}_seconds",
        help_text,
        buckets=list(zip(bounds, sums, strict=True)),
        sum_value=durations.total,
    )
