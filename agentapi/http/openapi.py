"""The OpenAPI document of the wire, made from the models and one table of operations.

OpenAPI 3.0.3, as AgentAPI's own. Imported when somebody asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from agentapi import __version__
from agentapi.http import models

Json = dict[str, Any]

REF = "#/components/schemas/"
ERROR = "ErrorModel"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    id: str
    summary: str
    description: str
    answer: str = ""
    """The model of the 200 response; empty if it is not JSON."""
    request: str = ""
    """The model of the request body."""
    also: Mapping[str, str] | None = None
    """Other statuses and their models."""
    parameters: tuple[Json, ...] = ()


_QUEUE_ID: Json = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The id that `POST /queue` gave.",
    "schema": {"type": "integer", "format": "int64", "minimum": 1},
}

OPERATIONS = (
    Operation(
        "get",
        "/status",
        "get-status",
        "Get status",
        "The agent's status, answered at once whatever the agent does.",
        "StatusResponseBody",
    ),
    Operation(
        "get",
        "/messages",
        "get-messages",
        "Get messages",
        "The conversation so far, in order.",
        "MessagesResponseBody",
    ),
    Operation(
        "post",
        "/message",
        "post-message",
        "Post message",
        "Send a message or keystrokes to the agent. A `user` message is refused unless the"
        " status is `stable` and no dialog is open.",
        "MessageResponseBody",
        "MessageRequestBody",
    ),
    Operation(
        "get",
        "/session",
        "get-session",
        "Get session",
        "What is known of the agent and its session; unknown members are null.",
        "SessionBody",
    ),
    Operation(
        "get",
        "/approval",
        "get-approval",
        "Get approval",
        "The dialog that the agent waits in, if any.",
        "ApprovalBody",
    ),
    Operation(
        "post",
        "/approval",
        "post-approval",
        "Answer approval",
        "Answer the open dialog; 409 when it is not the one that is open.",
        "OkBody",
        "AnswerBody",
        {"409": ERROR},
    ),
    Operation(
        "post",
        "/interrupt",
        "post-interrupt",
        "Interrupt",
        "Stop the agent's turn, and answer once it is over; does nothing when it has none.",
        "InterruptBody",
        also={"500": ERROR},
    ),
    Operation(
        "get",
        "/queue",
        "get-queue",
        "Get queue",
        "The messages that wait for the agent to be idle.",
        "QueueBody",
    ),
    Operation(
        "post",
        "/queue",
        "post-queue",
        "Queue message",
        "Send a message when the agent is next idle, after those queued before; 429 when there is"
        " no room, 409 when the agent has ended.",
        "QueuedBody",
        "QueueRequestBody",
        {"409": ERROR, "422": ERROR, "429": ERROR},
    ),
    Operation(
        "delete",
        "/queue/{id}",
        "delete-queue",
        "Cancel queued message",
        "Forget a queued message; 404 when it is not queued (any more), 409 while it is sent.",
        "OkBody",
        also={"404": ERROR, "409": ERROR},
        parameters=(_QUEUE_ID,),
    ),
    Operation(
        "get",
        "/healthz",
        "get-healthz",
        "Health",
        "Whether the daemon and its agent live.",
        "HealthBody",
        also={"503": "HealthBody"},
    ),
    Operation(
        "get",
        "/readyz",
        "get-readyz",
        "Readiness",
        "Whether a user message would be taken now; 503 with the reason else.",
        "HealthBody",
        also={"503": "HealthBody"},
    ),
)

_EVENTS = (
    ("agent_error", "ErrorBody"),
    ("message_update", "MessageUpdateBody"),
    ("status_change", "StatusChangeBody"),
)


@cache
def document() -> Json:
    """Return the document. Treat it as read-only."""
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    paths["/events"] = {"get": _events()}
    paths["/transcript"] = {"get": _transcript()}
    paths["/transcript/events"] = {"get": _transcript_events()}
    paths["/upload"] = {"post": _upload()}
    paths["/metrics"] = {"get": _metrics()}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "AgentAPI",
            "version": __version__,
            "description": "An HTTP API for coding agents that run in a terminal.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": _schemas()},
    }


def as_yaml() -> bytes:
    """Return the document as YAML."""
    import yaml

    data: bytes = yaml.safe_dump(_plain(document()), sort_keys=False, encoding="utf-8")
    return data


def schema(name: str) -> Json | None:
    """Return one component as a separate JSON Schema; None if there is no such one."""
    found = document()["components"]["schemas"].get(name)
    if found is None:
        return None
    text = json.dumps(found).replace(REF, "")
    relative: Json = _suffix_refs(json.loads(text))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **relative}


def _plain(value: Any) -> Any:
    # A copy without shared parts, which YAML would write as anchors.
    return json.loads(json.dumps(value))


def _suffix_refs(value: Any) -> Any:
    if isinstance(value, list):
        return [_suffix_refs(item) for item in value]
    if isinstance(value, dict):
        return {
            key: f"{item}.json" if key == "$ref" else _suffix_refs(item)
            for key, item in value.items()
        }
    return value


# -- operations --------------------------------------------------------------------------------


def _operation(operation: Operation) -> Json:
    made: Json = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "responses": {"200": _json("OK", operation.answer)} | _errors(),
    }
    for status, model in (operation.also or {}).items():
        made["responses"][status] = _problem() if model == ERROR else _json("Not now", model)
    if operation.parameters:
        made["parameters"] = list(operation.parameters)
    if operation.request:
        body = {"application/json": {"schema": {"$ref": REF + operation.request}}}
        made["requestBody"] = {"required": True, "content": body}
    return made


def _json(description: str, model: str) -> Json:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": REF + model}}},
    }


def _problem() -> Json:
    return {
        "description": "Error",
        "content": {"application/problem+json": {"schema": {"$ref": REF + ERROR}}},
    }


def _errors() -> Json:
    return {"default": _problem()}


def _stream(kinds: Iterable[Json]) -> Json:
    """Return the response of an endpoint that streams these events."""
    schema = {
        "title": "Server Sent Events",
        "description": "Each item is one event of the stream.",
        "type": "array",
        "items": {"oneOf": list(kinds)},
    }
    return {"description": "OK", "content": {"text/event-stream": {"schema": schema}}}


def _events() -> Json:
    ok = _stream(_event(name, model) for name, model in _EVENTS)
    return {
        "operationId": "subscribeEvents",
        "summary": "Subscribe to events",
        "description": "Server-sent events: first what makes up the conversation, the status and"
        " the last errors, then each change as it happens. While the agent works, its message grows"
        " by updates with the same id.",
        "responses": {"200": ok} | _errors(),
    }


def _transcript() -> Json:
    number = {"type": "integer", "format": "int64", "minimum": 0}
    return {
        "operationId": "get-transcript",
        "summary": "Get transcript",
        "description": "What was said and done, exactly: the items behind the id `after`.",
        "parameters": [
            {"name": "after", "in": "query", "schema": {**number, "default": 0}},
            {
                "name": "limit",
                "in": "query",
                "schema": {**number, "minimum": 1, "maximum": 10_000, "default": 1000},
            },
        ],
        "responses": {"200": _json("OK", "TranscriptBody")} | _errors(),
    }


def _transcript_events() -> Json:
    ok = _stream((_event("item", "TranscriptItemBody"), _event("withdrawn", "WithdrawnBody")))
    return {
        "operationId": "subscribeTranscript",
        "summary": "Subscribe to the transcript",
        "description": "Server-sent events: each item, then each change of one; an item replaces"
        " the one with the same id. With `Last-Event-ID`, only what changed since that event.",
        "parameters": [
            {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
        ],
        "responses": {"200": ok} | _errors(),
    }


def _event(name: str, model: str) -> Json:
    return {
        "title": f"Event {name}",
        "type": "object",
        "properties": {
            "data": {"$ref": REF + model},
            "event": {"type": "string", "const": name, "description": "The event's name."},
            "id": {"type": "integer", "description": "The event's id."},
            "retry": {"type": "integer", "description": "Milliseconds to wait before a retry."},
        },
        "required": ["data", "event"],
    }


def _upload() -> Json:
    file = {
        "type": "string",
        "format": "binary",
        "contentEncoding": "binary",
        "contentMediaType": "application/octet-stream",
        "description": "The file, of 10 MiB at most.",
    }
    form = {
        "schema": {"type": "object", "properties": {"file": file}, "required": ["file"]},
        "encoding": {"file": {"contentType": "application/octet-stream"}},
    }
    return {
        "operationId": "post-upload",
        "summary": "Post upload",
        "description": "Keep a file beside the agent until the server ends.",
        "requestBody": {"content": {"multipart/form-data": form}},
        "responses": {"200": _json("OK", "UploadResponseBody")} | _errors(),
    }


def _metrics() -> Json:
    ok = {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "operationId": "get-metrics",
        "summary": "Metrics",
        "description": "The daemon's numbers in Prometheus' text format.",
        "responses": {"200": ok} | _errors(),
    }


# -- schemas -----------------------------------------------------------------------------------


def _schemas() -> Json:
    bodies = [
        model
        for model in vars(models).values()
        if isinstance(model, type) and issubclass(model, models.Body)
        if model not in (models.Body, models.Described)
    ]
    _, made = models_json_schema(
        [(body, "validation") for body in bodies], ref_template=REF + "{model}"
    )
    return {name: _component(name, found) for name, found in sorted(made["$defs"].items())}


def _component(name: str, found: Json) -> Json:
    component: Json = _in_openapi(found)
    if "enum" in component:
        return component | {"title": name, "example": component["enum"][-1]}
    component.pop("description", None)
    for member in component.get("properties", {}).values():
        if member.get("default") in ("", 0):
            del member["default"]
    return component


def _in_openapi(value: Any) -> Any:
    """Return the schema without generated titles, and with `nullable` as in OpenAPI 3.0."""
    if isinstance(value, list):
        return [_in_openapi(item) for item in value]
    if not isinstance(value, dict):
        return deepcopy(value)
    made: Json = {
        key: _members(item) if key == "properties" else _in_openapi(item)
        for key, item in value.items()
        if not (key == "title" and isinstance(item, str))
        if not (key == "default" and item is None)
    }
    kinds = made.pop("anyOf", None)
    if kinds is None:
        return made
    real = [kind for kind in kinds if kind != {"type": "null"}]
    only: Json = real[0] if len(real) == 1 else {"anyOf": real}
    if "$ref" in only:
        only = {"allOf": [only]}  # a sibling of $ref counts for nothing in OpenAPI 3.0
    return made | only | {"nullable": True}


def _members(properties: Json) -> Json:
    return {name: _in_openapi(member) for name, member in properties.items()}
