"""From the app-server's requests for a decision to dialogs, and from a choice to the answer. Pure.

Titles, labels and their order are those of Codex's own screen, so that a person there and a client
here see the same question. Only what the user decides is ever answered; a request of a kind that
is not known here stays unanswered, and is decided in the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from agentapi.agents.codex.json_values import Json, as_text
from agentapi.agents.codex.link.forms import elicitation, user_input
from agentapi.agents.codex.link.items import changes_text
from agentapi.agents.codex.link.question import LinkQuestion, Result, asking
from agentapi.agents.codex.link.rpc import RequestId
from agentapi.agents.codex.screen.dialogs import RULE
from agentapi.agents.generic.shell import command_line, unwrapped

_REFUSE = "No, and tell Codex what to do differently"
_LABELS = {
    "accept": "Yes, proceed",
    "acceptForSession": "Yes, and don't ask again for this command in this session",
    "decline": "No, continue without running it",
    "cancel": _REFUSE,
}
_NETWORK_LABELS = _LABELS | {
    "accept": "Yes, just this once",
    "acceptForSession": "Yes, and allow this host for this conversation",
}
_PERMISSIONS: tuple[tuple[str, bool, Json], ...] = (
    ("Yes, grant these permissions for this turn", True, {"scope": "turn"}),
    (
        "Yes, grant for this turn with strict auto review",
        True,
        {"scope": "turn", "strictAutoReview": True},
    ),
    ("Yes, grant these permissions for this session", True, {"scope": "session"}),
    ("No, continue without permissions", False, {"scope": "turn"}),
)
"""Label, whether the permissions are granted, and the rest of the answer."""
_TERMINAL = re.compile(r"^write_stdin --session-id (\d+)\b")


def question(request: RequestId, method: str, params: Json, item: Json) -> LinkQuestion | None:
    """What a request asks; `item` is the thread item that it is about, as far as it is known.

    None for what this program does not know, and for what is answered in the terminal only."""
    if method == _PATCH:
        return _patch(request, params, item)
    asks = _QUESTIONS.get(method)
    return asks(request, params) if asks is not None else None


def _command(request: RequestId, params: Json) -> LinkQuestion:
    command, reason = unwrapped(as_text(params.get("command"))), as_text(params.get("reason"))
    kind, title, labels = "command", "Would you like to run the following command?", _LABELS
    network = params.get("networkApprovalContext")
    if isinstance(network, dict):
        kind, labels = "permission", _NETWORK_LABELS
        title = f'Do you want to approve network access to "{network.get("host")}"?'
    elif params.get("kind") == "writeStdin" and (found := _TERMINAL.match(command)):
        title = f"Would you like to send input to terminal {found[1]}?"
    if rule := permission_rule(params.get("additionalPermissions")):
        reason = f"{reason}\n{RULE}{rule}".lstrip("\n")
    given = params.get("availableDecisions")
    decisions = given if isinstance(given, list) and given else ["accept", "decline", "cancel"]
    labelled = ((_label(decision, labels), {"decision": decision}) for decision in decisions)
    # The screen leaves out a rule of several lines, as 0.169 proposes for a script.
    choices = [(label, result) for label, result in labelled if "\n" not in label]
    return asking(request, choices, kind=kind, title=title, reason=reason, command=command)


def _patch(request: RequestId, params: Json, item: Json) -> LinkQuestion:
    choices: list[tuple[str, Result]] = [
        ("Yes, proceed", {"decision": "accept"}),
        ("Yes, and don't ask again for these files", {"decision": "acceptForSession"}),
        (_REFUSE, {"decision": "cancel"}),
    ]
    return asking(
        request,
        choices,
        kind="patch",
        title="Would you like to make the following edits?",
        reason=as_text(params.get("reason")),
        diff=changes_text(item.get("changes")),
    )


def _permissions(request: RequestId, params: Json) -> LinkQuestion:
    wanted = params.get("permissions")
    choices: list[tuple[str, Result]] = [
        (label, {"permissions": wanted if grants else {}, **more})
        for label, grants, more in _PERMISSIONS
    ]
    return asking(
        request,
        choices,
        kind="permission",
        title="Would you like to grant these permissions?",
        reason=as_text(params.get("reason")),
        command=permission_rule(wanted),
    )


def permission_rule(permissions: object) -> str:
    """Permissions in the words of Codex's screen: ``network; write `/srv` ``."""
    wanted = permissions if isinstance(permissions, dict) else {}
    network, files = wanted.get("network"), wanted.get("fileSystem")
    parts = ["network"] if isinstance(network, dict) and network.get("enabled") else []
    for access, paths in _paths(files if isinstance(files, dict) else {}).items():
        parts.append(f"{access} {', '.join(f'`{path}`' for path in paths)}")
    return "; ".join(parts)


def _paths(files: Json) -> dict[str, list[str]]:
    """The paths by the access that is wanted to them."""
    found: dict[str, list[str]] = {}
    entries = files.get("entries")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            found.setdefault(as_text(entry.get("access")), []).append(_path(entry.get("path")))
    if not entries:
        for access in ("read", "write"):
            if isinstance(paths := files.get(access), list) and paths:
                found[access] = [str(path) for path in paths]
    return found


def _path(path: object) -> str:
    """A path, a pattern, or the name of a special place, whichever the entry has."""
    if not isinstance(path, dict):
        return str(path)
    value = path.get("path") or path.get("pattern") or path.get("value")
    return str(value.get("kind") if isinstance(value, dict) else value)


def _label(decision: object, labels: Mapping[str, str]) -> str:
    """A decision in words."""
    if isinstance(decision, str):
        return labels.get(decision, decision)
    if not isinstance(decision, dict):
        return str(decision)
    amendment = decision.get("acceptWithExecpolicyAmendment")
    if isinstance(amendment, dict):
        words = amendment.get("execpolicy_amendment")
        start = command_line([*map(str, words)]) if isinstance(words, list) else ""
        return f"Yes, and don't ask again for commands that start with `{start}`"
    policy = decision.get("applyNetworkPolicyAmendment")
    if isinstance(policy, dict):
        rule = policy.get("network_policy_amendment")
        allows = isinstance(rule, dict) and rule.get("action") == "allow"
        return f"{'Yes, and allow' if allows else 'No, and block'} this host in the future"
    return next(iter(decision), "")


_QUESTIONS: Mapping[str, Callable[[RequestId, Json], LinkQuestion | None]] = {
    "item/commandExecution/requestApproval": _command,
    "item/permissions/requestApproval": _permissions,
    "item/tool/requestUserInput": user_input,
    "mcpServer/elicitation/request": elicitation,
}
_PATCH = "item/fileChange/requestApproval"
KNOWN = frozenset((*_QUESTIONS, _PATCH))
"""The requests that ask the user; what else a server may ask is not for us to answer."""
