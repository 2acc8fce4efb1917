"""The wire described: `/openapi.json`, `/openapi.yaml`, `/schemas/*`, `/docs`."""

from __future__ import annotations

from aiohttp import web

from agentapi.model.encoding import encode


def add(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/openapi.json", openapi_json)
    app.router.add_get("/openapi.yaml", openapi_yaml)
    app.router.add_get("/schemas/{name}.json", schema)
    app.router.add_get("/docs", docs)


async def openapi_json(request: web.Request) -> web.StreamResponse:
    """The document."""
    from agentapi.http.openapi import document

    return web.Response(body=encode(document()), content_type="application/openapi+json")


async def openapi_yaml(request: web.Request) -> web.StreamResponse:
    """The same, as YAML."""
    from agentapi.http.openapi import as_yaml

    return web.Response(body=as_yaml(), content_type="application/openapi+yaml")


async def schema(request: web.Request) -> web.StreamResponse:
    """One body's JSON Schema."""
    from agentapi.http.openapi import schema

    found = schema(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    return web.Response(body=encode(found), content_type="application/schema+json")


async def docs(request: web.Request) -> web.StreamResponse:
    """The document for people; the page asks for nothing else."""
    from agentapi.http.docs import page

    return web.Response(text=page(), content_type="text/html")
