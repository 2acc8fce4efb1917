"""From the text of one setting to its value: each raises `ValueError` saying what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit


def text(value: str) -> str:
    """Any text."""
    return value


def file(value: str) -> Path | None:
    """A file name, `~` expanded; None when empty."""
    return Path(value).expanduser() if value else None


def truth(value: str) -> bool:
    """A yes or no, in any of the usual words."""
    word = value.strip().lower()
    if word in ("true", "t", "1", "yes", "on"):
        return True
    if word in ("false", "f", "0", "no", "off"):
        return False
    raise ValueError("true or false")


def number(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers within bounds."""

    def parse(value: str) -> int:
        word = value.strip()
        if word.isascii() and word.isdigit() and len(word) < 10 and low <= int(word) <= high:
            return int(word)
        raise ValueError(f"a whole number from {low} to {high}")

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """A parser of one of some words."""

    def parse(value: str) -> str:
        word = value.strip().lower()
        if word in words:
            return word
        raise ValueError("one of " + ", ".join(words))

    return parse


def one_name_of(names: Mapping[str, str]) -> Callable[[str], str]:
    """A parser of names, in their own case, to what each means; empty for "not given"."""

    def parse(value: str) -> str:
        if not value or value in names:
            return names.get(value, "")
        raise ValueError("one of " + ", ".join(names))

    return parse


def base_path(value: str) -> str:
    """A path in front of a page: one slash before it, none behind."""
    if any(character.isspace() or character in "\"'<>?#\\" for character in value):
        raise ValueError("a path such as /chat, without blanks, quotes, ? and #")
    return "/" + value.strip("/")


def host_name(value: str) -> str:
    """A host without its port, in the case that it is given in; brackets of an IPv6 address go."""
    name = value
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    elif name.count(":") == 1:
        raise ValueError("host names without a port (ports are ignored when a request is checked)")
    if not name or any(character in "/[]@?#" for character in name):
        raise ValueError("host names such as localhost or [::1], or *")
    return name


def origin(value: str) -> str:
    """`scheme://host[:port]`, or `*`; a `*` may stand for a part of the host."""
    if value == "*":
        return value
    try:
        parts = urlsplit(value)
        good = bool(parts.scheme and parts.netloc) and parts.path in ("", "/")
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("origins such as http://localhost:3284 or https://*.example.com, or *")
    return f"{parts.scheme}://{parts.netloc}".lower()


def server_url(value: str) -> str:
    """Where a server is; the scheme may be missing."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or any(c.isspace() for c in value):
        raise ValueError("an address such as localhost:3284 or https://example.com/agent")
    return url.rstrip("/")
