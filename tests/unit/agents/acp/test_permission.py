"""The line of permission requests."""

from __future__ import annotations

import asyncio

import pytest

from agentapi.agents.acp.permission import (
    PermissionOption,
    PermissionQueue,
    PermissionRequest,
    choices,
    refusal,
)
from agentapi.model.conversation import Dialog

ALLOW = PermissionOption("proceed_once", "Yes", "allow_once")
ALWAYS = PermissionOption("amend:0", "Yes, for ever", "allow_always")
ALWAYS_TOO = PermissionOption("amend:1", "Yes, for this host", "allow_always")
NEVER = PermissionOption("x", "Never", "reject_always")
REJECT = PermissionOption("cancel", "No", "reject_once")


def test_choices_are_called_by_kind_whatever_the_agent_calls_them() -> None:
    named = [(choice.id, choice.label, choice.key) for choice in choices((ALLOW, ALWAYS, REJECT))]
    assert named == [
        ("allow_once", "Yes", "1"),
        ("allow_always", "Yes, for ever", "2"),
        ("reject_once", "No", "3"),
    ]


def test_choices_of_one_kind_are_told_apart() -> None:
    ids = [choice.id for choice in choices((ALWAYS, ALWAYS_TOO, REJECT))]
    assert ids == ["allow_always", "allow_always-2", "reject_once"]


def test_a_tenth_choice_has_no_key() -> None:
    assert [choice.key for choice in choices((ALLOW,) * 10)] == [*"123456789", ""]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((ALLOW, NEVER, REJECT), REJECT),
        ((NEVER, ALLOW), NEVER),
        ((ALLOW, ALWAYS), None),
        ((), None),
    ],
)
def test_refusal_is_the_mildest_and_never_an_allowing_option(
    options: tuple[PermissionOption, ...], expected: PermissionOption | None
) -> None:
    assert refusal(options) == expected


class Requests:
    """A queue and all that it reported."""

    def __init__(self, deadline: float = 60) -> None:
        self.shown: list[str | None] = []
        self.expired: list[str] = []
        self.queue = PermissionQueue(deadline, changed=self._changed, expired=self._expired)

    def _changed(self, dialog: Dialog | None) -> None:
        self.shown.append(dialog.title if dialog else None)

    def _expired(self, dialog: Dialog) -> None:
        self.expired.append(dialog.title)

    def request(self, title: str, *options: PermissionOption) -> asyncio.Task[str | None]:
        return asyncio.create_task(
            self.queue.request(PermissionRequest("permission", title, options=options))
        )


async def test_questions_wait_in_line() -> None:
    queue = Requests()
    first, second = queue.request("first", ALLOW, REJECT), queue.request("second", ALLOW, REJECT)
    await asyncio.sleep(0)
    assert queue.shown == ["first"]
    assert queue.queue.press("1")
    assert queue.queue.press("2")
    assert not queue.queue.press("1")
    assert (await first, await second) == ("proceed_once", "cancel")
    assert queue.shown == ["first", "second", None]


async def test_an_answer_meant_for_another_dialog_is_an_error() -> None:
    queue = Requests()
    with pytest.raises(LookupError, match="no dialog 'dialog-1' is open"):
        queue.queue.answer("dialog-1", "allow_once")
    first = queue.request("first", ALLOW)
    second = queue.request("second", ALLOW)
    await asyncio.sleep(0)
    shown = queue.queue.dialog
    assert shown is not None
    with pytest.raises(LookupError, match="it has allow_once"):
        queue.queue.answer(shown.id, "reject_once")
    queue.queue.answer(shown.id, "allow_once")
    with pytest.raises(LookupError, match=f"no dialog '{shown.id}' is open"):
        queue.queue.answer(shown.id, "allow_once")
    queue.queue.cancel_all()
    assert (await first, await second) == ("proceed_once", None)
    assert queue.shown == ["first", "second", None]


async def test_desks_give_no_id_twice() -> None:
    """Each run of an agent has a queue of its own."""
    ids = set()
    for queue in (Requests(), Requests()):
        asked = queue.request("first", ALLOW)
        await asyncio.sleep(0)
        assert queue.queue.dialog is not None
        ids.add(queue.queue.dialog.id)
        queue.queue.cancel_all()
        await asked
    assert len(ids) == 2


async def test_calling_off_nothing_reports_nothing() -> None:
    queue = Requests()
    queue.queue.cancel_all()
    assert queue.shown == []


async def test_each_question_has_a_deadline_from_when_it_shows() -> None:
    queue = Requests(deadline=0)
    assert await queue.request("first", ALLOW, REJECT) == "cancel"
    assert await queue.request("second", ALLOW) is None
    assert queue.expired == ["first", "second"]
    assert queue.shown == ["first", None, "second", None]


async def test_an_answered_question_does_not_expire() -> None:
    queue = Requests(deadline=0)
    first = queue.request("first", ALLOW, REJECT)
    await asyncio.sleep(0)
    queue.queue.press("1")
    assert await first == "proceed_once"
    second = queue.request("second", ALLOW, REJECT)
    assert await second == "cancel"
    assert queue.expired == ["second"]


def test_a_question_has_a_title_in_any_case() -> None:
    assert PermissionRequest("command", "own", command="ls").with_title("known").title == "own"
    assert PermissionRequest("command", "", command="ls").with_title("known").title == "known"
    assert PermissionRequest("command", "", command="ls").with_title("").title == "ls"
    assert PermissionRequest("permission", "").with_title("").title == "permission"
