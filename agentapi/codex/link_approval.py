"""From the app-server's requests for a decision to dialogs, and from a choice to the answer. Pure.

Only what the user decides is ever answered; a request of a kind that is not known here stays
unanswered, and is decided in the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentapi.codex.link_items import changes_text, shell_words
from agentapi.codex.rpc import RequestId
from agentapi.conversation.model import Choice, Dialog

Json = Mapping[str, Any]

_PLAIN = {
    "accept": "Yes, proceed",
    "acceptForSession": "Yes, and don't ask again in this session",
    "decline": "No, continue without it",
    "cancel": "No, and tell Codex what to do differently",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One request, what it asks, and what each choice answers."""

    request: RequestId
    dialog: Dialog
    answers: Mapping[str, dict[str, Any]]
    """The result to respond with, by the id of the choice."""


def question(request: RequestId, method: str, params: Json, item: Json) -> Question | None:
    """What a request asks; `item` is the thread item that it is about, as far as it is known.

    None for what is no question to the user, or none that this program knows."""
    match method:
        case "item/commandExecution/requestApproval":
            return _command(request, params)
        case "item/fileChange/requestApproval":
            return _patch(request, params, item)
        case "item/permissions/requestApproval":
            return _permissions(request, params)
        case "item/tool/requestUserInput":
            return _user_input(request, params)
        case "mcpServer/elicitation/request":
            return _elicitation(request, params)
    return None


def _command(request: RequestId, params: Json) -> Question:
    command = shell_words(params.get("command"))
    network = params.get("networkApprovalContext")
    title = "Would you like to run the following command?"
    kind = "command"
    if isinstance(network, dict):
        kind, title = "permission", f"Do you want to allow access to {network.get('host')}?"
    given = params.get("availableDecisions")
    decisions = given if isinstance(given, list) and given else ["accept", "decline", "cancel"]
    return _decide(
        request,
        decisions,
        kind=kind,
        title=title,
        reason=_text(params.get("reason")),
        command=command,
    )


def _patch(request: RequestId, params: Json, item: Json) -> Question:
    return _decide(
        request,
        ["accept", "acceptForSession", "cancel"],
        kind="patch",
        title="Would you like to make the following edits?",
        reason=_text(params.get("reason")),
        diff=changes_text(item.get("changes")),
    )


def _permissions(request: RequestId, params: Json) -> Question:
    wanted = params.get("permissions")
    granted = wanted if isinstance(wanted, dict) else {}
    choices = [
        ("Yes, for this turn", {"permissions": granted, "scope": "turn"}),
        ("Yes, for this session", {"permissions": granted, "scope": "session"}),
        ("No", {"permissions": {}, "scope": "turn"}),
    ]
    title = "Would you like to grant these permissions?"
    reason = _text(params.get("reason"))
    return _question(
        request, choices, kind="permission", title=title, reason=reason, command=_plain(granted)
    )


def _user_input(request: RequestId, params: Json) -> Question:
    """One question with options can be answered here; others only in the terminal."""
    found = params.get("questions")
    questions = [q for q in found if isinstance(q, dict)] if isinstance(found, list) else []
    title = "\n".join(_text(q.get("question")) for q in questions)
    choices: list[tuple[str, dict[str, Any]]] = []
    if len(questions) == 1:
        one = questions[0]
        options = one.get("options")
        for option in options if isinstance(options, list) else []:
            label = _text(option.get("label")) if isinstance(option, dict) else ""
            choices.append((label, {"answers": {one.get("id"): {"answers": [label]}}}))
    return _question(request, choices, kind="question", title=title)


def _elicitation(request: RequestId, params: Json) -> Question:
    """A form with required fields can only be filled in in the terminal."""
    schema = params.get("requestedSchema")
    needs = schema.get("required") if isinstance(schema, dict) else None
    answers = [("No", {"action": "decline"}), ("Cancel", {"action": "cancel"})]
    choices: list[tuple[str, dict[str, Any]]] = [*answers]
    if not needs and not params.get("url"):
        choices.insert(0, ("Yes", {"action": "accept", "content": {}}))
    return _question(
        request,
        choices,
        kind="mcp",
        title=_text(params.get("message")),
        reason=_text(params.get("serverName")),
    )


def _decide(request: RequestId, decisions: list[Any], **about: str) -> Question:
    return _question(request, [(_label(d), {"decision": d}) for d in decisions], **about)


def _question(
    request: RequestId, choices: list[tuple[str, dict[str, Any]]], **about: str
) -> Question:
    numbered = {str(number): choice for number, choice in enumerate(choices, 1)}
    dialog = Dialog(
        id=f"request-{request}",
        choices=tuple(Choice(number, label, "") for number, (label, _) in numbered.items()),
        **about,
    )
    return Question(request, dialog, {number: result for number, (_, result) in numbered.items()})


def _label(decision: object) -> str:
    """A decision in words, as Codex's own screen puts it."""
    if isinstance(decision, str):
        return _PLAIN.get(decision, decision)
    if not isinstance(decision, dict):
        return str(decision)
    amendment = decision.get("acceptWithExecpolicyAmendment")
    if isinstance(amendment, dict):
        words = amendment.get("execpolicy_amendment")
        start = " ".join(map(str, words)) if isinstance(words, list) else ""
        return f"Yes, and don't ask again for commands that start with `{start}`"
    policy = decision.get("applyNetworkPolicyAmendment")
    if isinstance(policy, dict):
        rule = policy.get("network_policy_amendment")
        rule = rule if isinstance(rule, dict) else {}
        yes = "Yes, and allow" if rule.get("action") == "allow" else "No, and block"
        return f"{yes} {rule.get('host')} in the future"
    return next(iter(decision), "")


def _plain(permissions: Json) -> str:
    return ", ".join(f"{name}: {value}" for name, value in permissions.items() if value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
