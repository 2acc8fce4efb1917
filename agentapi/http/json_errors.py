"""Explain invalid JSON with the messages of upstream's parser, which is Go's."""

from __future__ import annotations

import json

_VALUE = "looking for beginning of value"
_KEY = "looking for beginning of object key string"
_WHERE = {
    "Expecting value": _VALUE,
    "Unexpected UTF-8 BOM (decode using utf-8-sig)": _VALUE,
    "Expecting property name enclosed in double quotes": _KEY,
    "Illegal trailing comma before end of object": _KEY,
    "Illegal trailing comma before end of array": _VALUE,
    "Expecting ':' delimiter": "after object key",
    "Invalid control character at": "in string literal",
    "Extra data": "after top-level value",
}
_NESTED = "exceeded max depth"


def json_error(data: bytes) -> str | None:
    """Return the first error; None if the data is valid JSON."""
    try:
        json.loads(data.decode("utf-8"), parse_constant=_no_constant, parse_int=float)
    except UnicodeDecodeError as error:
        return f"invalid byte {data[error.start]:#04x} in string literal"
    except json.JSONDecodeError as error:
        return _explain(error)
    except _Constant as error:
        return f"invalid character {error.args[0][0]!r} {_VALUE}"
    except RecursionError:
        return _NESTED
    return None


class _Constant(Exception):
    """`NaN` or `Infinity`, which Python accepts, but JSON lacks."""


def _no_constant(name: str) -> None:
    raise _Constant(name)


def _explain(error: json.JSONDecodeError) -> str:
    text, offset, reason = error.doc, error.pos, error.msg
    if reason.startswith("Unterminated string") or offset >= len(text.rstrip()):
        return "unexpected end of JSON input"
    if reason.startswith("Invalid \\"):  # the offset is that of the backslash
        offset, where = offset + 1, "in string escape code"
    elif reason == "Expecting ',' delimiter":
        in_object = text.lstrip().startswith("{")
        where = "after object key:value pair" if in_object else "after array element"
    else:
        where = _WHERE.get(reason, reason)
    if reason.startswith("Illegal trailing comma"):  # the offset is that of the comma
        offset = len(text) - len(text[offset + 1 :].lstrip())
    return f"invalid character {text[offset]!r} {where}"
