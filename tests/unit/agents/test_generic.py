"""What the general profile reads off a screen: prompts and questions, by their shape. The screens
are those of claude 2.1.329, gemini 0.61, opencode 1.18, copilot 1.0.102, aider 0.86 and others."""

from __future__ import annotations

import pytest

from agentapi.agents.generic.prompt import ends_at_cursor
from agentapi.agents.registry import profile_for
from agentapi.conversation.profile import Reading
from agentapi.model.conversation import Phase
from agentapi.model.frames import Frame

PROFILE = profile_for("custom")
COLUMNS = 80


def frame(screen: str, rows: int = 40) -> Frame:
    """A frame; `@` marks the cursor (and stands for nothing)."""
    lines = screen.strip("\n").split("\n")
    row = next(number for number, line in enumerate(lines) if "@" in line)
    column = lines[row].index("@")
    lines[row] = lines[row].replace("@", "", 1)
    shown = tuple(line.rstrip(" ") for line in lines) + ("",) * (rows - len(lines))
    return Frame(1, COLUMNS, rows, shown, shown, (column, row), False)


def read(screen: str) -> Reading:
    return PROFILE.read(frame(screen))


CLAUDE_TRUST = """
 Quick safety check: Is this a project you created or one you trust?

 Security guide

 @❯ No, exit
   Yes, I trust this folder

 Enter to confirm · Esc to cancel
"""
CLAUDE_COMMAND = """
● I make a file.

────────────────────────────────────────────────────────────────────────────────
 Bash command
 touch made
 Do you want to proceed?
 @❯ 1. Yes
   2. Yes, and always allow access to
      /work/dir from this project
   3. No

 Esc to cancel · Tab to amend
"""
GEMINI_COMMAND = """
╭──────────────────────────────────────────────────────────────────────────────╮
│ ? Shell  touch made                                                          │
│ Allow execution of [Shell]?                                                  │
│                                                                              │
│ ● 1. Allow once                                                              │
│   2. Allow for this session                                                  │
│   3. No, suggest changes (esc)                                               │
╰──────────────────────────────────────────────────────────────────────────────╯

@
"""
COPILOT_COMMAND = """
 ● 1. first thing
   2. second thing

 ❯ run it@                                                              22:08

╭──────────────────────────────────────────────────────────────────────────────╮
│ make a file                                                                  │
│ ──────────────────────────────────────────────────────────────────────────── │
│ ╭──────────────────────────────────────────────────────────────────────────╮ │
│ │ touch made                                                               │ │
│ ╰──────────────────────────────────────────────────────────────────────────╯ │
│                                                                              │
│ Do you want to run this command?                                             │
│                                                                              │
│ ❯ 1. Yes                                                                     │
│   2. No, and tell Copilot what to do differently (Esc to stop)               │
│                                                                              │
│ ↑/↓ to navigate · enter to select · esc to cancel                            │
╰──────────────────────────────────────────────────────────────────────────────╯
"""
OPENCODE_COMMAND = """
  ┃  run it
  ┃

  ┃  △ Permission required
  ┃    # Shell command
  ┃
  ┃  $ touch made
  ┃
  ┃   Allow once   Allow always   Reject  ctrl+f fullscreen  ⇆ select  enter con
  ┃                                                                           @
"""
AUGGIE_LOGIN = """
Welcome
→ Login to continue
Press return to open your browser
@
"""
DIALOGS = {
    "claude trust": (CLAUDE_TRUST, "trust", ["No, exit", "Yes, I trust this folder", "Cancel"]),
    "claude command": (
        CLAUDE_COMMAND,
        "command",
        ["Yes", "Yes, and always allow access to /work/dir from this project", "No", "Cancel"],
    ),
    "gemini command": (
        GEMINI_COMMAND,
        "command",
        ["Allow once", "Allow for this session", "No, suggest changes (esc)"],
    ),
    "copilot command, with the hidden cursor at what was sent": (
        COPILOT_COMMAND,
        "command",
        ["Yes", "No, and tell Copilot what to do differently (Esc to stop)"],
    ),
    "opencode command, its keys cut": (
        OPENCODE_COMMAND,
        "command",
        ["Allow once", "Allow always", "Reject"],
    ),
    "auggie login": (AUGGIE_LOGIN, "login", ["Enter"]),
}


@pytest.mark.parametrize("name", DIALOGS)
def test_a_question_is_known_by_its_shape(name: str) -> None:
    screen, kind, labels = DIALOGS[name]
    reading = read(screen)
    assert reading.dialog is not None
    assert reading.composer is None
    assert reading.dialog.kind == kind
    assert [choice.label for choice in reading.dialog.choices] == labels
    for line in screen.replace("@", "").strip("\n").split("\n")[-2:]:
        assert line.strip() in reading.dialog_text


def test_what_stands_above_a_question_is_conversation() -> None:
    reading = read(CLAUDE_COMMAND)
    assert reading.transcript == 3
    assert reading.dialog is not None
    assert reading.dialog.title == "Do you want to proceed?"
    assert reading.marked == "1"


def test_the_keys_of_choices() -> None:
    command, trust = read(CLAUDE_COMMAND).dialog, read(CLAUDE_TRUST).dialog
    assert command is not None
    assert trust is not None
    assert [choice.key for choice in command.choices] == ["1", "2", "3", "\x1b"]
    assert [choice.key for choice in trust.choices] == ["\r", "\x1b[B\r", "\x1b"]


def test_a_wrapped_choice_may_stand_further_left() -> None:
    """copilot 1.0 in a folder with a long path."""
    dialog = read("""\
╭──────────────────────────────────────────────────────────────────────────────╮
│ Do you want to run this command?                                             │
│                                                                              │
│ ❯ 1. Yes                                                                     │
│  2. Yes, and don't ask again for `touch` in this repo (/var/tmp/my agentapi  │
│  clone.x1/agentapi)                                                          │
│   3. No, and tell Copilot what to do differently (Esc to stop)               │
│                                                                              │
│ ↑/↓ to navigate · enter to select · esc to cancel                            │
╰──────────────────────────────────────────────────────────────────────────────╯@""").dialog
    assert dialog is not None
    assert [(choice.id, choice.label) for choice in dialog.choices] == [
        ("1", "Yes"),
        (
            "2",
            "Yes, and don't ask again for `touch` in this repo (/var/tmp/my agentapi"
            " clone.x1/agentapi)",
        ),
        ("3", "No, and tell Copilot what to do differently (Esc to stop)"),
    ]


def test_choices_side_by_side() -> None:
    dialog = read(OPENCODE_COMMAND).dialog
    assert dialog is not None
    assert dialog.title == "△ Permission required"
    assert dialog.reason == "# Shell command\n$ touch made"
    assert [choice.key for choice in dialog.choices] == ["\r", "\x1b[C\r", "\x1b"]


@pytest.mark.parametrize(
    "line",
    [
        "Run shell command? (Y)es/(N)o/(D)on't ask again [Yes]: @",
        "Add command output to the chat? (Y)es/(N)o/(D)on't ask again [Yes]: @",
        "Proceed? [y/N] @",
        "Proceed (y/n)? @",
        "Continue? [Y/n] > @",
        "Are you sure you want to continue connecting (yes/no/[fingerprint])? @",
        "Log in? [(y)es,(n)o] @",
        "Allow this action? Use 't' to trust [y/n/t]: @",
        "Save? [Yes]: @",
    ],
)
def test_a_line_that_names_its_answers_is_a_question(line: str) -> None:
    reading = read(f"some words\n\n{line}")
    assert reading.dialog is not None
    words = "yes/no" in line
    keys = ["yes\r", "no\r"] if words else ["y", "n"]
    assert [choice.key for choice in reading.dialog.choices] == keys
    assert reading.transcript == 2
    typed = read(f"some words\n\n{line.replace('@', 'yes@' if words else 'y@')}")
    assert typed.dialog == reading.dialog
    assert typed.marked == "yes"


def test_a_line_of_keys_is_what_asks_where_nothing_else_does() -> None:
    dialog = read("Line A\nLine B\nPress enter to continue@").dialog
    assert dialog is not None
    assert (dialog.title, dialog.reason) == ("Press enter to continue", "Line A\nLine B")
    assert [(choice.id, choice.key) for choice in dialog.choices] == [("enter", "\r")]


PROMPTS = [
    ("$ @", ""),
    ("> @", ""),
    (">>> @", ""),
    ("diff> @", ""),
    ("❯\xa0@", ""),
    ("user@host:~/a/long/folder$ ".replace("@", "\N{FULLWIDTH COMMERCIAL AT}") + "@", ""),
    ("    ( O)> @", ""),
    (" > @  Type your message or path/to/file", ""),
    ("  ┃  @", ""),
    ("  ┃  Ask anything@".replace("Ask anything@", "@Ask anything"), ""),
    ("❯ please do it@", "please do it"),
    ("  ┃  please do it@", "please do it"),
    ("❯ please do\n  it@", "please do\nit"),
    (" > please do it\n   @", "please do it"),
    ("┃ please do\n┃ @", "please do\n"),
]


@pytest.mark.parametrize(("screen", "text"), PROMPTS, ids=[screen for screen, _ in PROMPTS])
def test_a_prompt_is_where_the_cursor_stands(screen: str, text: str) -> None:
    reading = read(f"an answer\n\n{screen}")
    assert reading.composer is not None
    assert reading.composer.text == text
    assert reading.transcript == 2
    assert reading.dialog is None


def test_an_interpreter_that_waits_for_more_has_an_empty_prompt() -> None:
    composer = read(">>> for i in range(3): print(i)\n... @").composer
    assert composer is not None
    assert composer.text == ""


@pytest.mark.parametrize(
    ("screen", "typed", "left"),
    [
        ("> hello@", "hello", "> @"),
        ("> hel@", "hello", "> @"),
        ("┃ one\n┃ two@ ┃\nkeys", "one\ntwo", "┃ @\n\nkeys"),
        ("words\n> @", "hello", "words\n> @"),
    ],
)
def test_a_screen_without_what_is_being_typed(screen: str, typed: str, left: str) -> None:
    bare = PROFILE.without_typed(frame(screen), typed, part=True)
    assert bare.cursor == frame(left).cursor
    assert [line.rstrip() for line in bare.lines] == [line.rstrip() for line in frame(left).lines]


@pytest.mark.parametrize(
    "screen",
    [
        "Password: @",
        "45%@",
        "Downloading 45% @",
        "Thinking | @",
        "@",
        "$ sleep 3\n@",
        "a line\n  @",
        "> a quotation\nan answer@",
    ],
)
def test_what_is_no_prompt(screen: str) -> None:
    assert read(screen).composer is None


def test_a_list_above_a_prompt_is_an_answer() -> None:
    reading = read(
        "● 1. first\n  2. second\n\nenter to confirm · esc to cancel\n\n❯ @\n\n? for more"
    )
    assert reading.dialog is None
    assert reading.transcript == 5


def test_the_keys_of_a_running_turn_are_no_question() -> None:
    assert read(" ⠋ Thinking... (esc to cancel, 2s)\n@").dialog is None


@pytest.mark.parametrize(
    "line", ["✻ Churning… (esc to interrupt)", " ◎ Working esc esc edit prompt", " esc interrupt"]
)
def test_a_line_that_offers_to_interrupt_means_work(line: str) -> None:
    assert read(f"words\n❯ @\n{line}").working
    assert read(f"{line}\n\n❯ @").working
    assert not read("words\n❯ @\n? for shortcuts").working


def test_a_spinner_in_the_title_means_work() -> None:
    assert PROFILE.title_phase("⠂ Claude Code") is Phase.WORKING
    assert PROFILE.title_phase("◐ Claude Code") is Phase.WORKING
    assert PROFILE.title_phase("✳ Claude Code") is None
    assert PROFILE.title_phase("dir") is None


@pytest.mark.parametrize(
    ("screen", "typed", "shows"),
    [
        ("> hello@", "hello", True),
        ("hello@", "hello", True),
        ("> hello\n@", "hello", False),
        ("> @", "hello", False),
        ("> hello@ draft", "hello", True),
        ("> hello@draft", "hello", False),
        ("│ > hello@   │", "hello", True),
        ("❯ one two\n  three@", "one two three", True),
        ("❯ [Pasted text #1 +3 lines]@", "a\nb\nc\nd", True),
        ("❯ [Pasted text #1 +3 lines]@", "hello", False),
        ("> " + "x" * 77 + "\nx@", "x" * 78, True),
    ],
)
def test_what_was_typed_stands_at_the_cursor(screen: str, typed: str, shows: bool) -> None:
    assert ends_at_cursor(frame(screen), typed) is shows


def test_the_surroundings_of_an_input_box_are_not_said() -> None:
    startup = [
        *(" Claude Code v2", "  ~/work", *[""] * 30),
        " " * 60 + "◐ medium",
        "─" * 80,
    ]
    assert PROFILE.clean_startup(startup) == [" Claude Code v2", "  ~/work"]
    assert PROFILE.clean(["an answer", "", "  ┃"], {}) == ["an answer"]


def test_words_below_a_run_of_blank_rows_are_kept() -> None:
    assert PROFILE.clean(["a", *[""] * 8, "b"], {}) == ["a", *[""] * 5, "b"]


@pytest.mark.parametrize(
    "answer", [["┌──┐", "│ a│", "└──┘"], ["a", "──────────"], ["a", "", "", "b"], ["> a", "5 > 3"]]
)
def test_an_answer_is_kept(answer: list[str]) -> None:
    assert PROFILE.clean(answer, {}) == answer


@pytest.mark.parametrize("prompt", ["You: ", "In [12]: ", "user: "])
def test_whose_turn_it_is_may_be_the_prompt(prompt: str) -> None:
    for words in ("", "is it so?"):
        reading = read(f"Hello!\n{prompt}{words}@")
        assert reading.composer is not None
        assert reading.composer.text == words


def test_another_word_that_is_asked_for_is_no_prompt() -> None:
    assert read("Hello!\nName: @").composer is None
