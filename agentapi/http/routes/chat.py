"""The chat page, and the redirect to it from `/`."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from agentapi.agents.registry import titles
from agentapi.chat import CONTENT_TYPES, STATIC, page
from agentapi.http.options import OPTIONS

NO_CACHE = {"Cache-Control": "no-cache"}
"""Revalidate each time (there is an ETag): modules of two versions must not mix."""


def add(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/", root)
    app.router.add_get("/chat", chat)
    app.router.add_get("/chat/", chat)
    app.router.add_get("/chat/embed", embed_without_slash)
    app.router.add_get("/chat/embed/", embed)
    app.router.add_get("/chat/{path:.+}", asset)


async def root(request: web.Request) -> web.StreamResponse:
    """Redirect to the page at its public path."""
    base = request.app[OPTIONS].chat_base_path.rstrip("/")
    return web.Response(status=307, headers={"Location": f"{base}/embed"})


async def chat(request: web.Request) -> web.StreamResponse:
    """Return the full page."""
    if request.path.endswith("/"):
        return _page("./")
    name = request.app[OPTIONS].chat_base_path.rstrip("/").rsplit("/", 1)[-1]
    return _page(f"{name}/" if name else "./")


async def embed_without_slash(request: web.Request) -> web.StreamResponse:
    """Redirect to the page, relative: a proxy may have stripped a prefix."""
    query = f"?{request.query_string}" if request.query_string else ""
    return web.Response(status=301, headers={"Location": f"embed/{query}"})


async def embed(request: web.Request) -> web.StreamResponse:
    """Return the page for an iframe."""
    return _page("../")


def _page(base: str) -> web.Response:
    return web.Response(text=page(base, titles()), content_type="text/html", headers=NO_CACHE)


async def asset(request: web.Request) -> web.StreamResponse:
    """Return a file of the page."""
    path = _inside(request.match_info["path"])
    if path is None or not path.is_file():
        raise web.HTTPNotFound
    kind = CONTENT_TYPES.get(path.suffix, "text/plain; charset=utf-8")
    return web.FileResponse(path, headers={"Content-Type": kind, **NO_CACHE})


def _inside(name: str) -> Path | None:
    """Return the file's path, unless it is outside the folder."""
    if "\0" in name:
        return None
    path = (STATIC / name).resolve()
    return path if path.is_relative_to(STATIC.resolve()) else None
