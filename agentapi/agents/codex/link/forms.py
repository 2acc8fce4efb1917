"""The forms that Codex's model and MCP servers ask to fill in, one question after the other. Pure.

Questions are answered by choices. A form that wants words anywhere is no question here: it is
filled in on the screen, from its first field on, by a person or by keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from agentapi.agents.codex.json_values import Json, as_list, as_object, as_objects, as_text
from agentapi.agents.codex.link.question import LinkQuestion, Result, asking
from agentapi.agents.codex.link.rpc import RequestId
from agentapi.agents.codex.screen.dialogs import CANCEL, form_reason
from agentapi.model.conversation import Choice

Outcome = Result | Callable[[], LinkQuestion]

_OTHER = "None of the above"
"""What Codex's screen adds to the options of a question that takes others, too."""
_PERSIST = {"session": "Allow for this session", "always": "Always allow"}


def user_input(request: RequestId, params: Json) -> LinkQuestion | None:
    """The model's questions to the user (`item/tool/requestUserInput`)."""
    questions = as_objects(params.get("questions"))
    if not questions or not all(as_objects(one.get("options")) for one in questions):
        return None
    return _ask(request, questions, {})


def _ask(request: RequestId, questions: Sequence[Json], given: Json) -> LinkQuestion:
    """The next question that is not answered yet."""
    place = len(given)
    one = questions[place]
    options = [
        Choice(str(number), as_text(option.get("label")), "", as_text(option.get("description")))
        for number, option in enumerate(as_objects(one.get("options")), 1)
    ]
    if one.get("isOther"):
        options.append(Choice(str(len(options) + 1), _OTHER, ""))

    def after(label: str) -> Outcome:
        answers = {**given, str(one.get("id")): {"answers": [label]}}
        if len(answers) < len(questions):
            return partial(_ask, request, questions, answers)
        return {"answers": answers}

    return asking(
        request,
        [(option, after(option.label)) for option in options],
        kind="question",
        title=as_text(one.get("question")),
        reason=form_reason(place + 1, len(questions)),
    )


def elicitation(request: RequestId, params: Json) -> LinkQuestion | None:
    """What an MCP server asks of the user, or what Codex asks before it calls a server's tool."""
    meta = as_object(params.get("_meta"))
    schema = as_object(params.get("requestedSchema"))
    fields = [(name, as_object(f)) for name, f in as_object(schema.get("properties")).items()]
    if meta.get("codex_approval_kind") == "mcp_tool_call":
        return _tool(request, params, meta)
    if params.get("mode") == "url":
        return _page(request, params)
    if not all(_options(field) for _, field in fields):
        return None
    if fields:
        return _fill_in(request, params, fields, {})
    return asking(
        request,
        [
            ("Allow", {"action": "accept", "content": {}}),
            ("Deny", {"action": "decline"}),
            ("Cancel", {"action": "cancel"}),
        ],
        kind="mcp",
        title=as_text(params.get("message")),
    )


def _tool(request: RequestId, params: Json, meta: Json) -> LinkQuestion:
    """Leave to call a tool, once or for longer."""
    persist = meta.get("persist")
    longer = [persist] if isinstance(persist, str) else as_list(persist)
    choices: list[tuple[str, Result]] = [("Allow", {"action": "accept", "content": {}})]
    for span, label in _PERSIST.items():
        if span in longer:
            choices.append((label, {"action": "accept", "_meta": {"persist": span}}))
    choices.append(("Cancel", {"action": "cancel"}))
    arguments = as_object(meta.get("tool_params"))
    lines = [f"{name}: {_plain(value)}" for name, value in arguments.items()]
    return asking(
        request,
        choices,
        kind="mcp",
        title=as_text(params.get("message")),
        command="\n".join(lines),
    )


def _page(request: RequestId, params: Json) -> LinkQuestion:
    """A page to open; only its user knows when it is done."""
    return asking(
        request,
        [
            (Choice("done", "I opened the page and am done", ""), {"action": "accept"}),
            (Choice("back", "Back", ""), {"action": "decline"}),
        ],
        kind="mcp",
        title=as_text(params.get("message")),
        command=as_text(params.get("url")),
    )


def _fill_in(
    request: RequestId, params: Json, fields: Sequence[tuple[str, Json]], given: Json
) -> LinkQuestion:
    """The next field of a server's form."""
    place = len(given)
    name, field = fields[place]

    def after(value: object) -> Outcome:
        content = {**given, name: value}
        if len(content) < len(fields):
            return partial(_fill_in, request, params, fields, content)
        return {"action": "accept", "content": content}

    about = " ".join(
        filter(None, [as_text(field.get("title")) or name, as_text(field.get("description"))])
    )
    choices: list[tuple[str | Choice, Outcome]] = [
        (label, after(value)) for label, value in _options(field)
    ]
    return asking(
        request,
        [*choices, (replace(CANCEL, key=""), {"action": "cancel"})],
        kind="mcp",
        title=f"{as_text(params.get('message'))}\n{about}",
        reason=form_reason(place + 1, len(fields)),
    )


def _options(field: Json) -> list[tuple[str, object]]:
    """The labels and values that a field may have; none where it takes words."""
    if field.get("type") == "boolean":
        return [("True", True), ("False", False)]
    values = as_list(field.get("enum"))
    names = as_list(field.get("enumNames"))
    if values:
        names = names if len(names) == len(values) else values
        return [(str(label), value) for label, value in zip(names, values, strict=True)]
    return [
        (as_text(one.get("title")) or str(one["const"]), one["const"])
        for one in as_objects(field.get("oneOf"))
        if "const" in one
    ]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
