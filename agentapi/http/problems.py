"""Maps errors to `application/problem+json` responses.

    Problem               what a route raises: status, detail, errors
    SendError (drivers)   500, `failed to send message: …`; on the wire also busy and empty
    LookupError           not mapped: a route decides what it means

Any other exception is a bug: it is logged with its traceback, and the response is a bare 500.
"""

from __future__ import annotations

import functools
import json
import logging
import operator
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from agentapi.http.replies import described
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.session.outbox import EmptyMessage

log = logging.getLogger(__name__)

UNEXPECTED = "unexpected error occurred"
FAILED = "validation failed"
_EXPECTED = {
    "model_type": "object",
    "model_attributes_type": "object",
    "dict_type": "object",
    "list_type": "array",
    "string_type": "string",
    "bool_type": "boolean",
    "int_type": "integer",
    "float_type": "number",
}
"""Upstream's type names for the types of pydantic's errors."""


MAX_ERRORS = 20
"""The maximum number of items in `errors`."""
MAX_VALUE = 8_192
"""The maximum characters of a value's JSON in a response: it may be as large as the body."""


class Problem(Exception):
    """An error with its status. `errors` are `{message, location, value}`, as far as known."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Mapping[str, object]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


def invalid(
    message: str,
    location: str,
    value: object = None,
    status: int = 422,
    headers: Mapping[str, str] | None = None,
) -> Problem:
    """Return the problem of an invalid part of the request."""
    return Problem(status, FAILED, [_error_item(message, location, value)], headers)


def _error_item(message: str, location: str, value: object) -> Mapping[str, object]:
    """Return one item of `errors`; a value that is null, long or not valid in JSON is left out."""
    error = {"message": message, "location": location}
    try:
        long = len(json.dumps(value, allow_nan=False)) > MAX_VALUE
    except ValueError:
        return error
    return error if value is None or long else error | {"value": value}


def response(request: web.Request, problem: Problem) -> web.Response:
    """Return the problem as a response."""
    body: dict[str, object] = {
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    reply = described(request, "ErrorModel", body, problem.status, "application/problem+json")
    reply.headers.update(problem.headers)
    return reply


def send_problem(error: SendError) -> Problem:
    """Return the problem of a message that could not be sent; clients match the text of `Busy`."""
    plain = isinstance(error, Busy | EmptyMessage | DialogOpen)
    reason = error.reason if plain else str(error)
    return Problem(500, UNEXPECTED, [{"message": f"failed to send message: {reason}"}])


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn exceptions of the routes into responses."""
    try:
        return await handler(request)
    except Problem as problem:
        return response(request, problem)
    except SendError as error:
        return response(request, send_problem(error))
    except web.HTTPNotFound:
        return _not_found()
    except web.HTTPMethodNotAllowed as error:
        return _wrong_method(error)
    except web.HTTPRequestEntityTooLarge:
        return response(request, Problem(413, "the request body is too large"))
    except web.HTTPException:
        raise
    except ConnectionError:
        raise  # the client is gone
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return response(request, Problem(500, UNEXPECTED))


def _not_found() -> web.Response:
    return web.Response(status=404, text="404 page not found\n")


def _wrong_method(error: web.HTTPMethodNotAllowed) -> web.Response:
    allow = ", ".join(sorted(error.allowed_methods))
    return web.Response(
        status=405, text=f"method not allowed; use {allow}\n", headers={"Allow": allow}
    )


def details(
    errors: Sequence[Mapping[str, Any]], location: str, checked: object
) -> list[Mapping[str, object]]:
    """Convert the first errors of a pydantic `ValidationError` into items of `errors`, with
    upstream's messages. `checked` is the validated value at `location`."""
    return [_detail(item, location, checked) for item in errors[:MAX_ERRORS]]


def _detail(item: Mapping[str, Any], location: str, checked: Any) -> Mapping[str, object]:
    path = [str(part) for part in item["loc"]]
    kind, value = item["type"], item["input"]
    if kind == "missing":
        message = f"expected required property {path.pop()} to be present"
    elif kind == "extra_forbidden":
        message = "unexpected property"
        value = functools.reduce(operator.getitem, item["loc"][:-1], checked)  # the whole object
    elif kind == "enum" and isinstance(value, str):
        message = f"expected value to be one of {item['ctx']['expected']}"
    else:
        expected = "string" if kind == "enum" else _EXPECTED.get(kind)
        message = f"expected {expected}" if expected else str(item["msg"])
    return _error_item(message, ".".join([location, *path]), value)
