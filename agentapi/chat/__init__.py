"""The chat page: static files, and a page that depends on where it is served.

The routes (all of them GET):

    /chat            200  page(f"{last segment of --chat-base-path}/"), for example page("chat/")
    /chat/           200  page("./")
    /chat/embed      301  Location: embed/   (relative, and with the query kept)
    /chat/embed/     200  page("../")
    /chat/{path}     200  the file STATIC / path, with CONTENT_TYPES[suffix]; else 404

The routes stay at `/chat` whatever `--chat-base-path` is: a proxy strips the prefix. Every URL in
the page is relative to `base`, so the same bytes work under any prefix. Without `Cache-Control:
no-cache` (with an ETag) a browser may mix the modules of two versions.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape
from pathlib import Path

__all__ = ["CONTENT_TYPES", "STATIC", "page"]

STATIC = Path(__file__).parent / "static"
"""The folder of the files served below `/chat/`."""

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Types by suffix: a module script with the wrong type does not run, and the system's own table
differs from machine to machine. Other files (licences) are `text/plain; charset=utf-8`."""


@cache
def page(base: str, titles: tuple[tuple[str, str], ...] = ()) -> str:
    """Return the HTML of the chat page.

    `base` is the relative URL of `/chat/`, with a trailing slash: `../` for `/chat/embed/`.
    `titles` are the agents' display names, by type.
    """
    if not base.endswith("/"):
        raise ValueError(f"the base of the chat page must end with '/', not {base!r}")
    template = (STATIC / "index.html").read_text(encoding="utf-8")
    names = escape(json.dumps(dict(titles)))
    for empty, filled in (
        ('<base href="./">', f'<base href="{escape(base)}">'),
        ('<meta name="agents" content="{}">', f'<meta name="agents" content="{names}">'),
    ):
        template = template.replace(empty, filled, 1)
    return template
