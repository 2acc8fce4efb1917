"""Convert the forms of Codex's model and of MCP servers to one question after the other. Pure.

Questions are answered by choices. A form with any free-text field is not converted: all of it is
filled in on the screen, by a person or by keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from agentapi.agents.codex.json_values import Json, as_list, as_object, as_objects, as_text
from agentapi.agents.codex.link.question import LinkQuestion, Result, make_question
from agentapi.agents.codex.link.rpc import RequestId
from agentapi.agents.codex.screen.dialogs import CANCEL, form_reason
from agentapi.model.conversation import Choice

Outcome = Result | Callable[[], LinkQuestion]

_OTHER = "None of the above"
"""The option that Codex's screen adds to a question that accepts other answers."""
_PERSIST = {"session": "Allow for this session", "always": "Always allow"}


def user_input(request: RequestId, params: Json) -> LinkQuestion | None:
    """Parse the model's questions to the user (`item/tool/requestUserInput`)."""
    questions = as_objects(params.get("questions"))
    if not questions or not all(as_objects(question.get("options")) for question in questions):
        return None
    return _question_step(request, questions, {})


def _question_step(request: RequestId, questions: Sequence[Json], given: Json) -> LinkQuestion:
    """Make the next unanswered question."""
    index = len(given)
    question = questions[index]
    options = [
        Choice(str(number), as_text(option.get("label")), "", as_text(option.get("description")))
        for number, option in enumerate(as_objects(question.get("options")), 1)
    ]
    if question.get("isOther"):
        options.append(Choice(str(len(options) + 1), _OTHER, ""))

    def outcome(label: str) -> Outcome:
        answers = {**given, str(question.get("id")): {"answers": [label]}}
        if len(answers) < len(questions):
            return partial(_question_step, request, questions, answers)
        return {"answers": answers}

    return make_question(
        request,
        [(option, outcome(option.label)) for option in options],
        kind="question",
        title=as_text(question.get("question")),
        reason=form_reason(index + 1, len(questions)),
    )


def elicitation(request: RequestId, params: Json) -> LinkQuestion | None:
    """Parse an MCP server's request to the user, or Codex's before it calls a server's tool."""
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
        return _form_step(request, params, fields, {})
    return make_question(
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
    """Make a question for permission to call a tool, once or for longer."""
    persist = meta.get("persist")
    longer = [persist] if isinstance(persist, str) else as_list(persist)
    choices: list[tuple[str, Result]] = [("Allow", {"action": "accept", "content": {}})]
    for span, label in _PERSIST.items():
        if span in longer:
            choices.append((label, {"action": "accept", "_meta": {"persist": span}}))
    choices.append(("Cancel", {"action": "cancel"}))
    arguments = as_object(meta.get("tool_params"))
    lines = [f"{name}: {_as_text(value)}" for name, value in arguments.items()]
    return make_question(
        request,
        choices,
        kind="mcp",
        title=as_text(params.get("message")),
        command="\n".join(lines),
    )


def _page(request: RequestId, params: Json) -> LinkQuestion:
    """Make a question for a page to open; only the user knows when it is done."""
    return make_question(
        request,
        [
            (Choice("done", "I opened the page and am done", ""), {"action": "accept"}),
            (Choice("back", "Back", ""), {"action": "decline"}),
        ],
        kind="mcp",
        title=as_text(params.get("message")),
        command=as_text(params.get("url")),
    )


def _form_step(
    request: RequestId, params: Json, fields: Sequence[tuple[str, Json]], given: Json
) -> LinkQuestion:
    """Make the question for the next field of a server's form."""
    index = len(given)
    name, field = fields[index]

    def outcome(value: object) -> Outcome:
        content = {**given, name: value}
        if len(content) < len(fields):
            return partial(_form_step, request, params, fields, content)
        return {"action": "accept", "content": content}

    about = " ".join(
        filter(None, [as_text(field.get("title")) or name, as_text(field.get("description"))])
    )
    choices: list[tuple[str | Choice, Outcome]] = [
        (label, outcome(value)) for label, value in _options(field)
    ]
    return make_question(
        request,
        [*choices, (replace(CANCEL, key=""), {"action": "cancel"})],
        kind="mcp",
        title=f"{as_text(params.get('message'))}\n{about}",
        reason=form_reason(index + 1, len(fields)),
    )


def _options(field: Json) -> list[tuple[str, object]]:
    """Return the labels and values of a field; none where it is free text."""
    if field.get("type") == "boolean":
        return [("True", True), ("False", False)]
    values = as_list(field.get("enum"))
    names = as_list(field.get("enumNames"))
    if values:
        names = names if len(names) == len(values) else values
        return [(str(label), value) for label, value in zip(names, values, strict=True)]
    return [
        (as_text(option.get("title")) or str(option["const"]), option["const"])
        for option in as_objects(field.get("oneOf"))
        if "const" in option
    ]


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
