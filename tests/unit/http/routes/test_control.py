"""`/session`, `/approval`, `/interrupt`, the health checks and `/metrics`."""

from __future__ import annotations

import asyncio

import pytest

from agentapi.agents.generic.evidence import SourceReport
from agentapi.model.conversation import Choice, Dialog, Phase
from agentapi.model.errors import SendError
from agentapi.transcript.transcript import Transcript
from tests.support.live import serving, settle

DIALOG = Dialog(
    "d7",
    "command",
    "Run this command?",
    "it needs the network",
    "curl example",
    "",
    (Choice("yes", "Yes", "1"), Choice("no", "No", "", "for now")),
)


async def test_the_session_tells_what_is_known_and_null_else() -> None:
    known = {"session_id": "abc", "workdir": "/home/me"}
    async with serving(about=lambda: known) as live:
        live.driver.phase(Phase.WORKING, "osc 7501: working")
        body = (await live.get("/session")).json
        assert set(body) == {
            "$schema",
            "session_id",
            "agent_type",
            "agent_version",
            "workdir",
            "phase",
            "phase_reason",
            "phase_since",
            "turn",
            "resumed",
            "started_at",
            "last_activity_at",
            "last_user_message_at",
            "idle_seconds",
            "clients",
            "usage",
            "evidence",
        }
        assert (body["session_id"], body["workdir"]) == ("abc", "/home/me")
        assert (body["phase"], body["phase_reason"]) == ("working", "osc 7501: working")
        assert (body["agent_version"], body["last_user_message_at"]) == (None, None)
        assert (body["turn"], body["resumed"], body["clients"]) == (0, False, 0)
        assert body["phase_since"].endswith("Z")


async def test_the_evidence_has_ages_and_the_strongest_first() -> None:
    async with serving() as live:
        assert (await live.get("/session")).json["evidence"] is None, "this driver has none"
        said = SourceReport("osc 7501", Phase.WORKING, "working", 1.23456, True)
        live.driver.evidence = lambda: [said]  # type: ignore[attr-defined]
        assert (await live.get("/session")).json["evidence"] == [
            {
                "source": "osc 7501",
                "phase": "working",
                "detail": "working",
                "age_seconds": 1.235,
                "counts": True,
            }
        ]


# -- approvals -----------------------------------------------------------------------------------


async def test_an_open_dialog_is_shown_and_answered() -> None:
    async with serving() as live:
        assert (await live.get("/approval")).json["open"] is None
        live.driver.phase(Phase.BLOCKED, "dialog", DIALOG)
        assert (await live.get("/approval")).json["open"] == {
            "id": "d7",
            "kind": "command",
            "title": "Run this command?",
            "reason": "it needs the network",
            "command": "curl example",
            "diff": "",
            "choices": [
                {"id": "yes", "label": "Yes", "key": "1", "description": ""},
                {"id": "no", "label": "No", "key": "", "description": "for now"},
            ],
        }
        answer = await live.post("/approval", {"id": "d7", "choice": "no"})
        assert (answer.status, answer.json["ok"]) == (200, True)
        assert live.driver.answered == [("d7", "no")]
        assert (await live.get("/approval")).json["open"] is None


@pytest.mark.parametrize(
    ("dialog", "body", "word"),
    [
        (None, {"id": "d7", "choice": "yes"}, "no dialog"),
        (DIALOG, {"id": "d6", "choice": "yes"}, "'d6'"),
        (DIALOG, {"id": "d7", "choice": "perhaps"}, "'perhaps'"),
    ],
)
async def test_answering_another_dialog_is_409(
    dialog: Dialog | None, body: object, word: str
) -> None:
    async with serving() as live:
        if dialog is not None:
            live.driver.phase(Phase.BLOCKED, "dialog", dialog)
        answer = await live.post("/approval", body)
        assert answer.status == 409
        assert word in answer.json["detail"]
        assert live.driver.answered == []


async def test_an_open_dialog_costs_no_copy_of_the_transcript(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as live:
        live.driver.phase(Phase.BLOCKED, "dialog", DIALOG)
        monkeypatch.delattr(Transcript, "items_after")
        assert (await live.get("/approval")).json["open"]["id"] == "d7"


async def test_of_two_answers_at_once_one_counts() -> None:
    async with serving() as live:
        live.driver.phase(Phase.BLOCKED, "dialog", DIALOG)
        live.driver.hold.clear()
        body = {"id": "d7", "choice": "yes"}
        both = [asyncio.ensure_future(live.post("/approval", body)) for _ in range(2)]
        await settle()
        live.driver.hold.set()
        assert sorted([(await one).status for one in both]) == [200, 409]
        assert live.driver.answered == [("d7", "yes")]


async def test_a_dialog_that_stays_open_is_reported() -> None:
    async with serving() as live:
        live.driver.phase(Phase.BLOCKED, "dialog", DIALOG)
        live.driver.fail_next = SendError("answer", "the dialog is still open after 5 s")
        answer = await live.post("/approval", {"id": "d7", "choice": "yes"})
        assert (answer.status, answer.json["detail"]) == (500, "the dialog could not be answered")
        assert "still open" in answer.json["errors"][0]["message"]


async def test_an_answer_without_an_id_is_422() -> None:
    async with serving() as live:
        assert (await live.post("/approval", {"choice": "yes"})).status == 422


# -- interrupt -----------------------------------------------------------------------------------


async def test_an_interrupt_stops_the_turn_and_may_be_repeated() -> None:
    async with serving() as live:
        live.driver.phase(Phase.WORKING)
        for _ in range(2):
            answer = await live.post("/interrupt")
            assert (answer.status, answer.json["ok"], answer.json["phase"]) == (200, True, "idle")


async def test_an_interrupt_answers_once_the_turn_is_over() -> None:
    async with serving() as live:
        live.driver.phase(Phase.WORKING)
        live.driver.interrupted.clear()
        both = [asyncio.ensure_future(live.post("/interrupt")) for _ in range(2)]
        await settle()
        live.driver.interrupted.set()
        assert [(await one).json["phase"] for one in both] == ["idle", "idle"]


async def test_a_turn_that_goes_on_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentapi.session.controls.INTERRUPT_LIMIT", 0.01)
    async with serving() as live:
        live.driver.deaf = True
        live.driver.phase(Phase.WORKING, "osc 7501: working")
        answer = await live.post("/interrupt")
        assert (answer.status, answer.json["detail"]) == (500, "the turn could not be stopped")
        assert "osc 7501: working" in answer.json["errors"][0]["message"]


# -- health --------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", list(Phase))
async def test_health_and_readiness_follow_the_phase(phase: Phase) -> None:
    async with serving() as live:
        live.driver.phase(phase, "because")
        health, ready = await live.get("/healthz"), await live.get("/readyz")
        assert health.status == (503 if phase is Phase.EXITED else 200)
        assert ready.status == (200 if phase is Phase.IDLE else 503)
        assert ready.json["ok"] is (phase is Phase.IDLE)
        assert ready.json["reason"] == f"{phase.value}: because"


async def test_an_unsent_initial_prompt_is_not_ready() -> None:
    async with serving(initial_prompt="do it") as live:
        live.driver.hold.clear()
        live.driver.idle()
        ready = await live.get("/readyz")
        assert ready.status == 503
        assert "initial prompt" in ready.json["reason"]
        live.driver.hold.set()


async def test_before_the_start_the_daemon_is_healthy_and_not_ready() -> None:
    async with serving(start=False) as live:
        assert (await live.get("/healthz")).status == 200
        assert (await live.get("/readyz")).status == 503


# -- metrics -------------------------------------------------------------------------------------


async def test_metrics_count_what_happened() -> None:
    async with serving() as live:
        live.driver.idle()
        await live.say("x", "raw")
        await live.say("hi")
        live.driver.turn("hello")
        live.driver.fail_next = SendError("echo", "never seen")
        await live.say("again")
        async with live.stream() as stream:
            await stream.event()
            answer = await live.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain")
        lines = answer.text.splitlines()
        for line in (
            'agentapi_phase{phase="idle"} 1.0',
            'agentapi_phase{phase="working"} 0.0',
            'agentapi_subscribers{stream="events"} 1.0',
            "agentapi_turns_total 1.0",
            "agentapi_keystrokes_total 1.0",
            "agentapi_messages 3.0",
            'agentapi_send_failures_total{step="echo"} 1.0',
            "agentapi_send_seconds_count 1.0",
            "agentapi_done_seconds_count 1.0",
        ):
            assert line in lines
