"""Read and validate request bodies: size, timeout, content type, schema. Error messages are
upstream's."""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from agentapi.http.json_errors import json_error
from agentapi.http.options import OPTIONS
from agentapi.http.problems import FAILED, Problem, details, invalid

if TYPE_CHECKING:
    from agentapi.http.models import Body

B = TypeVar("B", bound="Body")

BODY_LIMIT = 1024 * 1024
"""The size in bytes from which on a JSON body is too large."""
INLINE_LIMIT = 16 * 1024
"""Bytes of a body that is validated on the event loop: one of 1 MiB can have 100,000 errors."""
MAX_MEMBERS = 64
"""The number of members of an object that are validated."""
CLOSE = {"Connection": "close"}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\."
)
"""A surrogate pair, one escaped character, or another escape; `\\\\ud800` is not a surrogate."""


async def read_model(request: web.Request, model: type[B]) -> B:
    """Parse the JSON body into a model. Raises `Problem`: 400, 408, 413, 415 or 422."""
    data = await _read(request)
    if not data:
        raise Problem(400, "request body is required")
    _require_json(request, data)
    if len(data) <= INLINE_LIMIT:
        return _validate(data, model)
    return await asyncio.to_thread(_validate, data, model)


def _validate(data: bytes, model: type[B]) -> B:
    from pydantic import ValidationError
    from pydantic_core import from_json

    whole = _limit_members(_replace_surrogates(data))
    try:
        return model.model_validate_json(whole)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    first = errors[0]
    reason = json_error(data) or (first["msg"] if first["type"] == "json_invalid" else "")
    if reason:
        raise invalid(reason, "body", _text(data), 400)
    raise Problem(422, FAILED, details(errors, "body", from_json(whole)))


def _limit_members(data: bytes) -> bytes:
    """Drop the excess members of a large object: each is an error that costs time. No model has so
    many, so the rest is still invalid."""
    from pydantic_core import from_json, to_json

    if len(data) <= INLINE_LIMIT:
        return data
    try:
        value = from_json(data)
    except ValueError:
        return data
    if not isinstance(value, dict) or len(value) <= MAX_MEMBERS:
        return data
    return to_json(dict(itertools.islice(value.items(), MAX_MEMBERS)))


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
        raise timed_out() from None
    except (web.RequestPayloadError, HttpProcessingError) as error:
        reason = {"message": str(error)}
        raise Problem(400, "cannot read request body", [reason], headers=CLOSE) from None
    return bytes(data)


def timed_out() -> Problem:
    """Return a 408: the body did not arrive in time."""
    return Problem(408, "request body read timeout", headers=CLOSE)


def _replace_surrogates(data: bytes) -> bytes:
    """Replace lone surrogates in JSON by U+FFFD: clients send them that cut a text inside an
    emoji."""
    if not _SURROGATE.search(data):
        return data
    return _ESCAPE.sub(_replacement, data)


def _replacement(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if _SURROGATE.fullmatch(escape[0]) else escape[0]


def _require_json(request: web.Request, data: bytes) -> None:
    given = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if given.lower() in ("", "application/json") or given.lower().endswith("+json"):
        return
    raise invalid(f"unknown content type: {given}", "body", _text(data), 415)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
