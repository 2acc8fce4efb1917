"""The app-server's requests for a decision: what they ask, and what each choice answers.

`link_requests/VERSION.json` holds requests that the real Codex sent, with the item that each is
about.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.codex.link.approval import KNOWN, parse_request, permission_rule
from agentapi.agents.codex.link.question import LinkQuestion, OpenQuestions

FOLDER = Path(__file__).parent / "requests"
VERSIONS = sorted(path.stem for path in FOLDER.glob("*.json"))
REFUSE = "No, and tell Codex what to do differently"


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def captured(version: str, name: str) -> LinkQuestion | None:
    request = json.loads((FOLDER / f"{version}.json").read_text())[name]
    return parse_request(
        request["id"], request["method"], request["params"], request.get("item", {})
    )


def sure(asked: object) -> LinkQuestion:
    assert isinstance(asked, LinkQuestion)
    return asked


def labels(asked: LinkQuestion) -> list[tuple[str, str]]:
    return [(choice.id, choice.label) for choice in asked.dialog.choices]


def test_a_command(version: str) -> None:
    asked = sure(captured(version, "command"))
    dialog = asked.dialog
    assert (dialog.kind, dialog.command) == ("command", "touch x")
    assert dialog.title == "Would you like to run the following command?"
    assert dialog.reason == "May I run this outside the sandbox?"
    assert labels(asked) == [
        ("1", "Yes, proceed"),
        ("2", "Yes, and don't ask again for commands that start with `touch x`"),
        ("3", REFUSE),
    ]
    amendment = {"execpolicy_amendment": ["touch", "x"]}
    assert [asked.choose(n) for n in "123"] == [
        {"decision": "accept"},
        {"decision": {"acceptWithExecpolicyAmendment": amendment}},
        {"decision": "cancel"},
    ]


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (["touch", "a b"], ["touch 'a b'"]),
        (["/bin/bash", "-lc", "a | b"], ["a | b"]),
        (["/bin/bash", "-lc", "cat <<END\nEND"], []),
    ],
)
def test_a_rule_is_offered_as_on_the_screen(rule: list[str], shown: list[str]) -> None:
    """For a script of several lines 0.169 proposes a rule that it does not show."""
    labels = [f"Yes, and don't ask again for commands that start with `{one}`" for one in shown]
    amendment = {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": rule}}
    decisions = ["accept", amendment, "cancel"]
    params = {"command": "x", "availableDecisions": decisions}
    asked = sure(parse_request(1, "item/commandExecution/requestApproval", params, {}))
    assert [one.label for one in asked.dialog.choices] == ["Yes, proceed", *labels, REFUSE]
    assert asked.choose(asked.dialog.choices[-1].id) == {"decision": "cancel"}


def test_a_patch_carries_its_diff(version: str) -> None:
    asked = sure(captured(version, "patch"))
    assert asked.dialog.kind == "patch"
    assert asked.dialog.diff == "add /home/demo/project/new.txt\n+first line\n+second line"
    assert labels(asked) == [
        ("1", "Yes, proceed"),
        ("2", "Yes, and don't ask again for these files"),
        ("3", REFUSE),
    ]
    assert asked.choose("2") == {"decision": "acceptForSession"}


def test_permissions_are_granted_as_requested(version: str) -> None:
    asked = sure(captured(version, "permission"))
    assert asked.dialog.kind == "permission"
    assert asked.dialog.command == "network; write `/srv/out`"
    answers = [asked.choose(number) for number in "1234"]
    wanted = json.loads((FOLDER / f"{version}.json").read_text())["permission"]["params"]
    assert answers == [
        {"permissions": wanted["permissions"], "scope": "turn"},
        {"permissions": wanted["permissions"], "scope": "turn", "strictAutoReview": True},
        {"permissions": wanted["permissions"], "scope": "session"},
        {"permissions": {}, "scope": "turn"},
    ]


def test_a_command_shows_its_additional_permissions(version: str) -> None:
    asked = sure(captured(version, "command-widened"))
    assert asked.dialog.kind == "command"
    assert asked.dialog.reason == "May I use the network?\nPermission rule: network"


def test_questions_are_asked_one_after_the_other(version: str) -> None:
    first = sure(captured(version, "question-form"))
    assert (first.dialog.title, first.dialog.reason) == ("Which colour?", "1 of 2")
    assert labels(first) == [("1", "Red"), ("2", "Blue"), ("3", "None of the above")]
    assert first.dialog.choices[0].description == "the warm one"
    second = sure(first.choose("2"))
    assert second.request == first.request
    assert (second.dialog.title, second.dialog.reason) == ("Which size?", "2 of 2")
    assert second.choose("3") == {
        "answers": {"q1": {"answers": ["Blue"]}, "q2": {"answers": ["None of the above"]}}
    }
    assert sure(first.choose("1")).choose("1") == {
        "answers": {"q1": {"answers": ["Red"]}, "q2": {"answers": ["Red"]}}
    }


def test_a_tool_asks_for_leave_with_its_arguments(version: str) -> None:
    asked = sure(captured(version, "mcp-tool"))
    assert asked.dialog.kind == "mcp"
    assert asked.dialog.title == 'Allow the demo MCP server to run tool "wipe"?'
    assert asked.dialog.command == "path: /srv/old"
    assert labels(asked) == [
        ("1", "Allow"),
        ("2", "Allow for this session"),
        ("3", "Always allow"),
        ("4", "Cancel"),
    ]
    assert [asked.choose(number) for number in "1234"] == [
        {"action": "accept", "content": {}},
        {"action": "accept", "_meta": {"persist": "session"}},
        {"action": "accept", "_meta": {"persist": "always"}},
        {"action": "cancel"},
    ]


def test_a_server_asks_yes_or_no(version: str) -> None:
    asked = sure(captured(version, "mcp-plain"))
    assert asked.dialog.title == "The server wants to know."
    assert labels(asked) == [("1", "Allow"), ("2", "Deny"), ("3", "Cancel")]
    actions = [asked.choose(number) for number in "123"]
    assert actions == [
        {"action": "accept", "content": {}},
        {"action": "decline"},
        {"action": "cancel"},
    ]


def test_a_servers_form_is_filled_in_by_choices(version: str) -> None:
    first = sure(captured(version, "mcp-choices"))
    assert first.dialog.title == "The server wants to know.\nColour"
    assert labels(first) == [("1", "red"), ("2", "blue"), ("cancel", "Cancel")]
    second = sure(first.choose("2"))
    assert second.dialog.title == "The server wants to know.\nSure Are you sure?"
    assert second.dialog.reason == "2 of 2"
    assert second.choose("2") == {"action": "accept", "content": {"colour": "blue", "sure": False}}
    assert second.choose("cancel") == {"action": "cancel"}


def test_a_form_that_wants_words_is_left_to_the_screen(version: str) -> None:
    assert captured(version, "mcp-words") is None
    free = {"questions": [{"id": "q", "question": "Who?", "options": None}]}
    assert parse_request(1, "item/tool/requestUserInput", free, {}) is None
    assert parse_request(1, "item/tool/requestUserInput", {}, {}) is None


def test_a_page_to_open(version: str) -> None:
    asked = sure(captured(version, "mcp-page"))
    assert asked.dialog.command == "https://example.com/sign-in"
    assert asked.choose("done") == {"action": "accept"}
    assert asked.choose("back") == {"action": "decline"}


def test_an_unknown_choice_is_refused_with_the_known_ones(version: str) -> None:
    with pytest.raises(LookupError, match=r"no choice '9'; it has '1' \(Allow\), '2' \(Deny\)"):
        sure(captured(version, "mcp-plain")).choose("9")


def test_input_to_a_terminal() -> None:
    params = {"kind": "writeStdin", "command": "write_stdin --session-id 64958 'hello\n'"}
    asked = sure(parse_request(1, "item/commandExecution/requestApproval", params, {}))
    assert asked.dialog.title == "Would you like to send input to terminal 64958?"
    assert asked.dialog.command == params["command"]


def test_a_host_on_the_network() -> None:
    rule = {"host": "example.com", "action": "allow"}
    allow = {"applyNetworkPolicyAmendment": {"network_policy_amendment": rule}}
    block = {"applyNetworkPolicyAmendment": {"network_policy_amendment": rule | {"action": "deny"}}}
    params = {
        "networkApprovalContext": {"host": "example.com", "protocol": "https"},
        "availableDecisions": ["accept", "acceptForSession", allow, block, "cancel"],
    }
    asked = sure(parse_request(1, "item/commandExecution/requestApproval", params, {}))
    assert asked.dialog.kind == "permission"
    assert asked.dialog.title == 'Do you want to approve network access to "example.com"?'
    assert [label for _, label in labels(asked)] == [
        "Yes, just this once",
        "Yes, and allow this host for this conversation",
        "Yes, and allow this host in the future",
        "No, and block this host in the future",
        REFUSE,
    ]
    assert asked.choose("4") == {"decision": block}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (None, ""),
        ({"network": {"enabled": False}}, ""),
        ({"fileSystem": {"read": ["/a"], "write": ["/b", "/c"]}}, "read `/a`; write `/b`, `/c`"),
        (
            {
                "fileSystem": {
                    "entries": [
                        {"access": "write", "path": {"type": "glob_pattern", "pattern": "*.md"}},
                        {"access": "read", "path": {"type": "special", "value": {"kind": "root"}}},
                    ]
                }
            },
            "write `*.md`; read `root`",
        ),
    ],
)
def test_permissions_in_words(wanted: object, words: str) -> None:
    assert permission_rule(wanted) == words


@pytest.mark.parametrize(
    "method",
    [
        "item/tool/call",
        "account/chatgptAuthTokens/refresh",
        "attestation/generate",
        "applyPatchApproval",
        "execCommandApproval",
    ],
)
def test_other_requests_are_not_questions(method: str) -> None:
    assert parse_request(1, method, {}, {}) is None
    assert method not in KNOWN


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_MEMBERS = """
command reason availableDecisions networkApprovalContext additionalPermissions questions
requestedSchema properties enum enumNames oneOf type message mode url _meta persist
codex_approval_kind tool_params permissions fileSystem entries read write options
"""
MEMBERS = st.sampled_from(_MEMBERS.split())
SHAPED = st.recursive(
    JSON | st.just("mcp_tool_call"),
    lambda inner: st.dictionaries(MEMBERS, inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=12,
)


@given(st.sampled_from(sorted(KNOWN)), st.dictionaries(MEMBERS, SHAPED, max_size=6))
def test_no_parameters_break_it(method: str, params: dict[str, Any]) -> None:
    asked = parse_request(1, method, params, {})
    for choice in asked.dialog.choices if asked is not None else ():
        assert asked is not None
        assert isinstance(asked.choose(choice.id), dict | LinkQuestion)


# -- several at once -------------------------------------------------------------------------------


def ask(request: int) -> LinkQuestion:
    params = {"command": f"touch {request}"}
    return sure(parse_request(request, "item/commandExecution/requestApproval", params, {}))


def test_the_first_is_current_and_then_the_newest() -> None:
    waiting = OpenQuestions()
    for number in range(3):
        waiting.add(ask(number))
    order = []
    while waiting.current is not None:
        order.append(waiting.current.request)
        assert waiting.resolve(waiting.current.request)
    assert order == [0, 2, 1]


def test_a_question_answered_elsewhere_keeps_the_current_one() -> None:
    waiting = OpenQuestions(iter("ab"))
    waiting.add(ask(0))
    waiting.add(ask(1))
    assert waiting.resolve(1)
    assert not waiting.resolve(1)
    assert sure(waiting.current).request == 0
    assert waiting.find("a") is waiting.current
    assert waiting.find("b") is None
    assert waiting.clear()
    assert not waiting.clear()
    assert waiting.current is None


def current_id(waiting: OpenQuestions) -> str:
    return sure(waiting.current).dialog.id


def test_ids_are_never_reused() -> None:
    """Every app-server numbers its requests from 0."""
    ids = []
    for _ in range(2):
        waiting = OpenQuestions()
        for _ in range(2):
            waiting.add(ask(0))
            ids.append(current_id(waiting))
            waiting.resolve(0)
    assert len({*ids}) == 4
    waiting.add(ask(0))
    assert all(waiting.find(number) is None for number in ids)


def test_a_repeated_question_keeps_its_id_and_a_forms_next_one_does_not(
    version: str,
) -> None:
    waiting = OpenQuestions(iter("ab"))
    form = sure(captured(version, "question-form"))
    waiting.add(form)
    waiting.add(form)
    assert current_id(waiting) == "a"
    waiting.add(sure(sure(waiting.current).choose("1")))
    assert current_id(waiting) == "b"
    assert waiting.find("a") is None
