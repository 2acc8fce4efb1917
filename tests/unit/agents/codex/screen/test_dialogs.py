"""Codex's dialogs as data, from recordings of the real one, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentapi.agents.codex.screen.dialogs import read_dialog
from agentapi.agents.generic.deadlines import STILL
from agentapi.model.conversation import Choice, Dialog
from agentapi.model.events import PhaseChanged
from tests.recordings.expect import CODEX
from tests.support.replay import replay

REFUSE = ("No, and tell Codex what to do differently", "\x1b")
GRANT = "Yes, grant these permissions for this turn"
TITLES = {
    "command": "Would you like to run the following command?",
    "patch": "Would you like to make the following edits?",
    "permission": "Would you like to grant these permissions?",
}
CANCEL = ("Cancel", "\x1b")


def opened(path: Path, rest: float = STILL - 1) -> list[Dialog]:
    """The dialogs of a recording, in the order in which they opened, when its last screen stands
    for `rest` seconds."""
    found: dict[str, Dialog] = {}
    for _, event in replay(path, rest=rest).events:
        if isinstance(event, PhaseChanged) and event.state.dialog is not None:
            found.setdefault(event.state.dialog.id, event.state.dialog)
    return list(found.values())


def keys(dialog: Dialog) -> list[tuple[str, str]]:
    """The labels of the choices, with their keys."""
    return [(choice.label, choice.key) for choice in dialog.choices]


def recordings(*names: str) -> list[Path]:
    found = sorted(path for name in names for path in CODEX.glob(f"*/{name}.cast"))
    assert len({path.stem for path in found}) == len(names)
    return found


def by_version(path: Path) -> str:
    return str(path.relative_to(CODEX).with_suffix(""))


def each(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", recordings(*names), ids=by_version)


@each("approval-open")
def test_a_command(path: Path) -> None:
    [dialog] = opened(path)
    assert (dialog.kind, dialog.title) == ("command", TITLES["command"])
    assert (dialog.command, dialog.reason) == ("date -u", "May I run this outside the sandbox?")
    first, *_, last = keys(dialog)
    assert (first, last) == (("Yes, proceed", "y"), REFUSE)


@each("command-widened")
def test_a_command_that_wants_more_permissions(path: Path) -> None:
    [dialog] = opened(path)
    assert (dialog.kind, dialog.command) == ("command", "touch x")
    assert dialog.reason == "May I use the network?\nPermission rule: network"
    assert keys(dialog) == [("Yes, proceed", "y"), REFUSE]


@each("permission", "permission-denied")
def test_permissions(path: Path) -> None:
    [dialog] = opened(path)
    assert (dialog.kind, dialog.title) == ("permission", TITLES["permission"])
    assert (dialog.command, dialog.reason) == ("network; write `/srv/out`", "To try it.")
    assert len(dialog.choices) == 4
    assert keys(dialog)[0] == (GRANT, "y")


@each("question-form")
def test_questions_open_one_after_the_other(path: Path) -> None:
    first, second = opened(path)
    assert (first.kind, first.title, first.reason) == ("question", "Which colour?", "1 of 2")
    assert (second.kind, second.title, second.reason) == ("question", "Which size?", "2 of 2")
    assert keys(first) == [("Red", "1"), ("Blue", "2"), ("None of the above", "3")]
    assert first.choices[1].description == "the cold one"


@each("question-open")
def test_a_lone_question(path: Path) -> None:
    [dialog] = opened(path)
    assert (dialog.title, dialog.reason) == ("Which colour?", "")


@each("mcp-tool")
def test_leave_for_a_tool(path: Path) -> None:
    [dialog] = opened(path)
    assert dialog.kind == "mcp"
    assert dialog.title == 'Allow the demo MCP server to run tool "wipe"?'
    assert dialog.command == "path: /srv/old"
    assert keys(dialog) == [
        ("Allow", "1"),
        ("Allow for this session", "2"),
        ("Always allow", "3"),
        ("Cancel", "4"),
    ]
    said = "Run the tool and remember this choice for this session"
    assert dialog.choices[1].description.rstrip(".") == said


@each("mcp-plain")
def test_a_server_asks_yes_or_no(path: Path) -> None:
    [dialog] = opened(path)
    assert (dialog.kind, dialog.title) == ("mcp", "The server wants to know.")
    assert keys(dialog) == [("Allow", "1"), ("Deny", "2"), ("Cancel", "3")]


@each("mcp-choices")
def test_a_servers_form(path: Path) -> None:
    first, second = opened(path)
    assert (first.title, first.reason) == ("The server wants to know.\nColour", "1 of 2")
    assert keys(first) == [("red", "1"), ("blue", "2"), CANCEL]
    assert second.title == "The server wants to know.\nSure Are you sure?"
    assert keys(second) == [("True", "1"), ("False", "2"), CANCEL]


@each("mcp-words")
def test_a_field_that_wants_words_says_so(path: Path) -> None:
    [dialog] = opened(path)
    assert (dialog.kind, dialog.title) == ("mcp", "The server wants to know.\nName Your name")
    assert dialog.reason == "wants words: type them in the terminal or send them as raw keys"
    assert keys(dialog) == [CANCEL]


@each("mcp-page")
def test_a_page_to_open(path: Path) -> None:
    [dialog] = opened(path)
    assert (dialog.kind, dialog.title) == ("mcp", "Please sign in.")
    if path.parent.name != "0.125.0":  # it does not show which page
        assert dialog.command == "https://example.com/sign-in"
        assert keys(dialog) == [("Open link", "1"), ("Back", "2")]


@each("trust-open", "update-open", "login")
def test_dialogs_of_the_start(path: Path) -> None:
    [dialog] = opened(path)  # though the moving picture of older ones cuts off what stands beside
    assert dialog.kind == path.stem.removesuffix("-open")
    assert len(dialog.choices) >= 2
    assert "Welcome" not in dialog.title
    if dialog.kind == "trust":
        assert "/var/tmp/agentapi-demo/project" in dialog.title


@each("model-open", "older-model-open")
def test_a_newer_model(path: Path) -> None:
    [dialog] = opened(path)
    assert dialog.kind == "other"
    assert "GPT" in dialog.title.upper()
    assert keys(dialog) == [("Try new model", "1"), ("Use existing model", "2")]


@each("hooks-open")
def test_hooks_that_nobody_has_reviewed(path: Path) -> None:
    [dialog] = opened(path)
    assert dialog.title.startswith("Hooks need review")
    assert [label for label, _ in keys(dialog)][:2] == ["Review hooks", "Trust all and continue"]


SHOWN = {
    "sessions-open": "Resume a previous session",
    "boxes-open": "xperimental features",
    "field-open": "Custom review instructions",
    "hook-open": "SessionStart hooks",
    "pager-open": "T R A N S C R I P T",
}


@each(*SHOWN)
def test_a_screen_without_an_input_box_is_shown_as_it_is(path: Path) -> None:
    dialog = opened(path, rest=STILL + 1)[-1]
    assert (dialog.kind, dialog.choices) == ("other", ())
    assert SHOWN[path.stem] in dialog.reason


# -- patches ---------------------------------------------------------------------------------------

WHOLE = [f"{number} +line {number} of 60" for number in range(1, 61)]


def added(dialog: Dialog) -> list[str]:
    return [line.strip() for line in dialog.diff.splitlines() if "+line" in line]


@each("patch-long", "patch-long-inline-80x24")
def test_a_diff_that_the_screen_does_not_show_whole_says_so(path: Path) -> None:
    [dialog] = opened(path)
    assert (dialog.kind, dialog.title) == ("patch", TITLES["patch"])
    shown = added(dialog)
    assert shown
    assert "Would you like" not in dialog.diff
    says_so = "the screen shows no more" in dialog.diff or "+ Show details" in dialog.diff
    assert (shown == WHOLE) is not says_so
    assert set(shown) <= set(WHOLE)
    if path.stem == "patch-long" and path.parent.name != "0.169.0":  # that shows three lines
        assert shown == WHOLE


# -- what is read, and what is not -----------------------------------------------------------------


def screen(text: str) -> list[str]:
    return text.strip("\n").split("\n")


FOOT = "  Press enter to confirm or esc to cancel"


def test_an_agent_that_quotes_a_dialog_asks_nothing() -> None:
    quoted = f"• {TITLES['command']}\n\n  › 1. Yes (y)\n\n{FOOT}\n\n› \n\n  gpt-5.4 · ~/project"
    lines = screen(quoted)
    assert read_dialog(lines, len(lines) - 1) is None


def test_a_list_without_a_mark_is_none() -> None:
    lines = screen(f"  Which?\n\n  1. This\n  2. That\n\n{FOOT}")
    assert read_dialog(lines, len(lines) - 1) is None


CHOICES = "  A newer model\n\n› 1. Try it\n  2. Keep yours"


@pytest.mark.parametrize("end", ["", "\n\n  ↵ ok", "\n↓\n  space ok", f"\n\n{FOOT}\n\nno network"])
def test_the_shape_tells_a_dialog_whatever_its_keys_are_called(end: str) -> None:
    lines = screen(CHOICES + end)
    found = read_dialog(lines, len(lines) - 1, cursor_visible=False)
    assert found is not None
    assert [choice.label for choice in found.value.choices] == ["Try it", "Keep yours"]
    assert found.text == "\n".join(lines)


def test_a_list_that_somebody_types_is_none() -> None:
    lines = screen(f"{CHOICES}\n\n  gpt-5.4 · ~/project")
    assert read_dialog(lines, len(lines) - 1, cursor_visible=True) is None


def test_a_list_on_an_old_page_of_the_conversation_is_none() -> None:
    lines = screen(f"{CHOICES}\n\n• Done\n\n───── 100% ─\n q to quit   esc to go back")
    assert read_dialog(lines, len(lines) - 1, cursor_visible=False) is None


def test_an_empty_screen() -> None:
    assert read_dialog([], -1) is None
    assert read_dialog([FOOT], 0) is None


def test_a_long_command_and_its_label_wrap() -> None:
    lines = screen(
        """
• Running it

  Would you like to run the following command?

  Reason: a long
  story

  $ if true; then

      echo two
  fi


› 1. Yes, proceed (y)
  2. Yes, and don't ask again for commands that start with `echo  one two
     three` (p)
  3. No, and tell Codex what to do differently (esc)

  Press enter to confirm or esc to cancel"""
    )
    found = read_dialog(lines, len(lines) - 1)
    assert found is not None
    dialog = found.value
    assert (found.above, found.marked) == (2, "1")
    assert found.text.startswith("  Would you like")
    assert (dialog.reason, dialog.command) == (
        "a long story",
        "if true; then\n\n    echo two\nfi",
    )
    assert dialog.choices[1] == Choice(
        "2", "Yes, and don't ask again for commands that start with `echo  one two three`", "p"
    )


def test_a_host_on_the_network() -> None:
    lines = screen(
        f"""
  Do you want to approve network access to "example.com"?

› 1. Yes, just this once (y)
  2. No, and tell Codex what to do differently (esc)

{FOOT}"""
    )
    found = read_dialog(lines, len(lines) - 1)
    assert found is not None
    assert found.value.kind == "permission"


def test_a_plan_to_implement() -> None:
    lines = screen(
        """
  Implement this plan?

› 1. Yes, implement this plan          Switch to Default and start coding
  2. Yes, clear context and implement  Start a fresh thread (current context: 1%
                                       used)
  3. No, stay in Plan mode             Continue planning with the model

  enter select · esc back"""
    )
    found = read_dialog(lines, len(lines) - 1)
    assert found is not None
    assert found.value.kind == "question"
    assert found.value.choices[1] == Choice(
        "2",
        "Yes, clear context and implement",
        "2",
        "Start a fresh thread (current context: 1% used)",
    )


def test_many_choices_have_keys_as_long_as_one_digit_is_enough() -> None:
    rows = [f"  {'›' if n == 1 else ' '} {n}. name{n}" for n in range(1, 12)]
    lines = ["  Question 1/1 (1 unanswered)", "  Which?", "", *rows, "", "  enter to submit answer"]
    found = read_dialog(lines, len(lines) - 1)
    assert found is not None
    assert [(c.id, c.key) for c in found.value.choices[7:]] == [
        ("8", "8"),
        ("9", "9"),
        ("10", ""),
        ("11", ""),
    ]
