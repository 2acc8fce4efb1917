"""Request bodies: bounded, in time, of the right type, and valid; else a problem that says why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from agentapi.http.options import OPTIONS
from agentapi.http.problems import Problem, details

if TYPE_CHECKING:
    from agentapi.http.models import Body

B = TypeVar("B", bound="Body")

BODY_LIMIT = 1024 * 1024
"""A JSON body of this many bytes is too large."""
CLOSE = {"Connection": "close"}


async def read_model(request: web.Request, model: type[B]) -> B:
    """The request's JSON body as a model. Raises `Problem`: 400, 408, 413, 415 or 422."""
    from pydantic import ValidationError

    data = await _read(request)
    if not data:
        raise Problem(400, "the request body is required")
    _require_json(request)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            reason = {"message": first["msg"], "location": "body"}
            raise Problem(400, "the request body is not valid JSON", [reason]) from None
        raise Problem(422, "validation failed", details(error, "body")) from None


async def _read(request: web.Request) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(request.app[OPTIONS].body_timeout):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) >= BODY_LIMIT:
                    raise Problem(
                        413, f"the request body reaches {BODY_LIMIT} bytes", headers=CLOSE
                    )
    except TimeoutError:
        raise late() from None
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise Problem(400, f"the request body cannot be read: {error}", headers=CLOSE) from None
    return bytes(data)


def late() -> Problem:
    """408: the body did not arrive in time."""
    return Problem(408, "the request body did not arrive in time", headers=CLOSE)


def _require_json(request: web.Request) -> None:
    given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if given in ("", "application/json") or given.endswith("+json"):
        return
    raise Problem(415, f"the content type {given} is not known here; use application/json")
