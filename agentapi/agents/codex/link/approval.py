"""Convert the app-server's approval requests to dialogs, and choices to results. Pure.

Titles, labels and their order match Codex's screen, so that people at the terminal and clients see
the same question. Unknown kinds of requests are never answered here, but in the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from agentapi.agents.codex.json_values import Json, as_text
from agentapi.agents.codex.link.forms import elicitation, user_input
from agentapi.agents.codex.link.items import changes_text
from agentapi.agents.codex.link.question import LinkQuestion, Result, make_question
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


def parse_request(request: RequestId, method: str, params: Json, item: Json) -> LinkQuestion | None:
    """Parse a request; `item` is the thread item that it is about, or empty.

    None for an unknown request, and for one that can only be answered in the terminal."""
    if method == _PATCH:
        return _patch(request, params, item)
    parse = _PARSERS.get(method)
    return parse(request, params) if parse is not None else None


def _command(request: RequestId, params: Json) -> LinkQuestion:
    command, reason = unwrapped(as_text(params.get("command"))), as_text(params.get("reason"))
    kind, title, labels = "command", "Would you like to run the following command?", _LABELS
    network = params.get("networkApprovalContext")
    if isinstance(network, dict):
        kind, labels = "permission", _NETWORK_LABELS
        title = f'Do you want to approve network access to "{network.get("host")}"?'
    elif params.get("kind") == "writeStdin" and (match := _TERMINAL.match(command)):
        title = f"Would you like to send input to terminal {match[1]}?"
    if rule := permission_rule(params.get("additionalPermissions")):
        reason = f"{reason}\n{RULE}{rule}".lstrip("\n")
    given = params.get("availableDecisions")
    decisions = given if isinstance(given, list) and given else ["accept", "decline", "cancel"]
    labelled = ((_label(decision, labels), {"decision": decision}) for decision in decisions)
    # The screen omits a rule of several lines, as 0.169 proposes for a script.
    choices = [(label, result) for label, result in labelled if "\n" not in label]
    return make_question(request, choices, kind=kind, title=title, reason=reason, command=command)


def _patch(request: RequestId, params: Json, item: Json) -> LinkQuestion:
    choices: list[tuple[str, Result]] = [
        ("Yes, proceed", {"decision": "accept"}),
        ("Yes, and don't ask again for these files", {"decision": "acceptForSession"}),
        (_REFUSE, {"decision": "cancel"}),
    ]
    return make_question(
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
    return make_question(
        request,
        choices,
        kind="permission",
        title="Would you like to grant these permissions?",
        reason=as_text(params.get("reason")),
        command=permission_rule(wanted),
    )


def permission_rule(permissions: object) -> str:
    """Format permissions like Codex's screen: ``network; write `/srv` ``."""
    wanted = permissions if isinstance(permissions, dict) else {}
    network, files = wanted.get("network"), wanted.get("fileSystem")
    parts = ["network"] if isinstance(network, dict) and network.get("enabled") else []
    for access, paths in _paths(files if isinstance(files, dict) else {}).items():
        parts.append(f"{access} {', '.join(f'`{path}`' for path in paths)}")
    return "; ".join(parts)


def _paths(files: Json) -> dict[str, list[str]]:
    """Group the paths by the requested access."""
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
    """Return an entry's path, pattern or kind of special folder."""
    if not isinstance(path, dict):
        return str(path)
    value = path.get("path") or path.get("pattern") or path.get("value")
    return str(value.get("kind") if isinstance(value, dict) else value)


def _label(decision: object, labels: Mapping[str, str]) -> str:
    """Return a decision's label."""
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


_PARSERS: Mapping[str, Callable[[RequestId, Json], LinkQuestion | None]] = {
    "item/commandExecution/requestApproval": _command,
    "item/permissions/requestApproval": _permissions,
    "item/tool/requestUserInput": user_input,
    "mcpServer/elicitation/request": elicitation,
}
_PATCH = "item/fileChange/requestApproval"
KNOWN = frozenset((*_PARSERS, _PATCH))
"""The requests to the user; this program does not answer any other."""
