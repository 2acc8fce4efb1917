"""Request bodies: bounded, in time, of the right type, and valid; else a problem that says why, in
the words of upstream."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from agentapi.http.json_errors import why_no_json
from agentapi.http.options import OPTIONS
from agentapi.http.problems import FAILED, Problem, details, invalid

if TYPE_CHECKING:
    from agentapi.http.models import Body

B = TypeVar("B", bound="Body")

BODY_LIMIT = 1024 * 1024
"""A JSON body of this many bytes is too large."""
AT_ONCE = 16 * 1024
"""Bytes of a body that are checked on the event loop: one of 1 MiB can hold 100,000 faults."""
MOST_MEMBERS = 64
"""Members of an object that are looked at."""
CLOSE = {"Connection": "close"}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\."
)
"""A whole pair, one escaped character, or another escape: so that `\\\\ud800` is none."""


async def read_model(request: web.Request, model: type[B]) -> B:
    """The request's JSON body as a model. Raises `Problem`: 400, 408, 413, 415 or 422."""
    data = await _read(request)
    if not data:
        raise Problem(400, "request body is required")
    _require_json(request, data)
    if len(data) <= AT_ONCE:
        return _validated(data, model)
    return await asyncio.to_thread(_validated, data, model)


def _validated(data: bytes, model: type[B]) -> B:
    from pydantic import ValidationError
    from pydantic_core import from_json

    whole = _few_members(_whole(data))
    try:
        return model.model_validate_json(whole)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    first = errors[0]
    reason = why_no_json(data) or (first["msg"] if first["type"] == "json_invalid" else "")
    if reason:
        raise invalid(reason, "body", _text(data), 400)
    raise Problem(422, FAILED, details(errors, "body", from_json(whole)))


def _few_members(data: bytes) -> bytes:
    """A large object with the last of too many members left out: each is a fault that costs time.
    None of ours has so many, so that what is left is still refused."""
    from pydantic_core import from_json, to_json

    if len(data) <= AT_ONCE:
        return data
    try:
        value = from_json(data)
    except ValueError:
        return data
    if not isinstance(value, dict) or len(value) <= MOST_MEMBERS:
        return data
    return to_json(dict(itertools.islice(value.items(), MOST_MEMBERS)))


async def _read(request: web.Request) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(request.app[OPTIONS].body_timeout):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) >= BODY_LIMIT:
                    too_large = f"request body is too large limit={BODY_LIMIT} bytes"
                    raise Problem(413, too_large, headers=CLOSE)
    except TimeoutError:
        raise late() from None
    except (web.RequestPayloadError, HttpProcessingError) as error:
        reason = {"message": str(error)}
        raise Problem(400, "cannot read request body", [reason], headers=CLOSE) from None
    return bytes(data)


def late() -> Problem:
    """408: the body did not arrive in time."""
    return Problem(408, "request body read timeout", headers=CLOSE)


def _whole(data: bytes) -> bytes:
    """The JSON with each half of a surrogate pair, which a client that cuts a text in the midst of
    an emoji sends, replaced by U+FFFD. No other text is touched."""
    if not _SURROGATE.search(data):
        return data
    return _ESCAPE.sub(_mended, data)


def _mended(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if _SURROGATE.fullmatch(escape[0]) else escape[0]


def _require_json(request: web.Request, data: bytes) -> None:
    given = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if given.lower() in ("", "application/json") or given.lower().endswith("+json"):
        return
    raise invalid(f"unknown content type: {given}", "body", _text(data), 415)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
