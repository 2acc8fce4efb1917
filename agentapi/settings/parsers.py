"""Parse the text of one setting. Each parser raises `ValueError` that says what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit


def text(value: str) -> str:
    """Return the text unchanged."""
    return value


def file(value: str) -> Path | None:
    """Parse a file name and expand `~`; None if empty."""
    return Path(value).expanduser() if value else None


def boolean(value: str) -> bool:
    """Parse a boolean, in any of the usual words."""
    word = value.strip().lower()
    if word in ("true", "t", "1", "yes", "on"):
        return True
    if word in ("false", "f", "0", "no", "off"):
        return False
    raise ValueError("true or false")


def number(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within bounds."""

    def parse(value: str) -> int:
        word = value.strip()
        if word.isascii() and word.isdigit() and len(word) < 10 and low <= int(word) <= high:
            return int(word)
        raise ValueError(f"a whole number from {low} to {high}")

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser of one of some words."""

    def parse(value: str) -> str:
        word = value.strip().lower()
        if word in words:
            return word
        raise ValueError("one of " + ", ".join(words))

    return parse


def one_name_of(names: Mapping[str, str]) -> Callable[[str], str]:
    """Return a parser that maps case-sensitive names to values; an empty text if not given."""

    def parse(value: str) -> str:
        if not value or value in names:
            return names.get(value, "")
        raise ValueError("one of " + ", ".join(names))

    return parse


def base_path(value: str) -> str:
    """Parse the path of a page: with a leading slash and no trailing one."""
    if any(character.isspace() or character in "\"'<>?#\\" for character in value):
        raise ValueError("a path such as /chat, without blanks, quotes, ? and #")
    return "/" + value.strip("/")


def host_name(value: str) -> str:
    """Parse a host name without a port; remove the brackets of an IPv6 address, keep the case."""
    name = value
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    elif name.count(":") == 1:
        raise ValueError("host names without a port (ports are ignored when a request is checked)")
    if not name or any(character in "/[]@?#" for character in name):
        raise ValueError("host names such as localhost or [::1], or *")
    return name


def origin(value: str) -> str:
    """Parse `scheme://host[:port]` or `*`; a `*` may also replace a part of the host."""
    if value == "*":
        return value
    try:
        parts = urlsplit(value)
        valid = bool(parts.scheme and parts.netloc) and parts.path in ("", "/")
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("origins such as http://localhost:3284 or https://*.example.com, or *")
    return f"{parts.scheme}://{parts.netloc}".lower()


def server_url(value: str) -> str:
    """Parse the address of a server; the scheme may be missing."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or any(c.isspace() for c in value):
        raise ValueError("an address such as localhost:3284 or https://example.com/agent")
    return url.rstrip("/")
