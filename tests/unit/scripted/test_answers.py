"""Which words bring which answer."""

from __future__ import annotations

import pytest

from agentapi.scripted import Break, Call, Fail, Patch, Request, Say, Shell, Step, Think
from agentapi.scripted.answers import MARKDOWN, answer, numbered


def reply(prompt: str, output: str | None = None) -> list[Step]:
    items = [{"type": "message", "role": "user", "content": prompt}]
    if output is not None:
        items.append({"type": "function_call_output", "output": output})
    return list(answer(Request({"input": items})))


def said(prompt: str, output: str | None = None) -> str:
    [say] = reply(prompt, output)
    assert isinstance(say, Say)
    return say.text


@pytest.mark.parametrize(
    ("prompt", "kinds"),
    [
        ("hello", [Say]),
        ("run ls", [Shell]),
        ("Sleep 3", [Say, Shell]),
        ("approve date", [Shell]),
        ("patch a.txt", [Say, Patch]),
        ("think about it", [Think, Say]),
        ("ask Which?", [Call]),
        ("permit /srv", [Call]),
        ("widen date", [Shell]),
        ('tool demo add {"a": 1}', [Call]),
        ("fail", [Fail]),
        ("break", [Say, Break]),
        ("breakfast", [Say]),
    ],
)
def test_the_first_words_choose(prompt: str, kinds: list[type]) -> None:
    assert [type(step) for step in reply(prompt)] == kinds


def test_several_questions_are_one_call() -> None:
    [call] = reply("ask Which colour? Which size?")
    assert isinstance(call, Call)
    asked = call.arguments["questions"]
    assert [(one["id"], one["question"]) for one in asked] == [
        ("q1", "Which colour?"),
        ("q2", "Which size?"),
    ]
    output = '{"answers": {"q2": {"answers": ["Red"]}, "q1": {"answers": ["Blue"]}}}'
    assert said("ask Which?", output) == "You chose Blue and Red."


def test_a_patch_may_be_long() -> None:
    _, patch = reply("patch a.txt 3")
    assert isinstance(patch, Patch)
    assert patch.text.splitlines()[2:5] == [f"+line {n} of 3" for n in (1, 2, 3)]


def test_texts() -> None:
    assert said("markdown") == MARKDOWN
    assert said("lines 400") == numbered(400)
    assert said("echo a\n  b") == "echo a\n  b"
    assert said("slow 25").split() == [f"word{n}" for n in range(1, 26)]
    assert len(said("slow 25").splitlines()) == 3


def test_numbered_lines_tell_which_they_are() -> None:
    lines = numbered(2000).splitlines()
    assert (len(lines), lines[0], lines[-1]) == (2000, "line 1 of 2000", "line 2000 of 2000")


def test_a_long_prompt_is_quoted_in_part() -> None:
    text = said("\n".join("abcdefgh"))
    assert "> e" in text
    assert "> f" not in text
    assert "3 more lines" in text


def test_only_an_escalated_command_asks() -> None:
    [plain], [escalated] = reply("run date"), reply("approve date")
    assert isinstance(plain, Shell)
    assert isinstance(escalated, Shell)
    assert (plain.escalate, plain.command) == ("", escalated.command)
    assert escalated.escalate


@pytest.mark.parametrize("status", [400, 503])
def test_a_failure_has_the_status_that_was_asked_for(status: int) -> None:
    [fail] = reply(f"fail {status}")
    assert isinstance(fail, Fail)
    assert fail.status == status


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ("a\nlast\n", "`last`"),
        ('{"output":"a\\nlast\\n","metadata":{}}', "`last`"),
        (
            "<untrusted_context>\nOutput: a\nlast\nProcess Group PGID: 7\n</untrusted_context>",
            "`last`",
        ),
        ("last\n<shellId: 0 completed with exit code 0>", "`last`"),
        ("", "``"),
        ("exec command rejected by user", "declined"),
        ('{"answers":{"q1":{"answers":["Blue"]}}}', "You chose Blue."),
    ],
)
def test_a_tool_output_is_told(output: str, wanted: str) -> None:
    assert wanted in said("run x", output)
