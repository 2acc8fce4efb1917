"""The API description: `/openapi.json`, `/openapi.yaml`, `/schemas/*`, `/docs`."""

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
    """Return the OpenAPI document."""
    from agentapi.http.openapi import document

    return web.Response(body=encode(document()), content_type="application/openapi+json")


async def openapi_yaml(request: web.Request) -> web.StreamResponse:
    """Return the OpenAPI document as YAML."""
    from agentapi.http.openapi import as_yaml

    return web.Response(body=as_yaml(), content_type="application/openapi+yaml")


async def schema(request: web.Request) -> web.StreamResponse:
    """Return the JSON Schema of one body."""
    from agentapi.http.openapi import schema

    found = schema(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    return web.Response(body=encode(found), content_type="application/schema+json")


async def docs(request: web.Request) -> web.StreamResponse:
    """Return the document as a self-contained page."""
    from agentapi.http.docs import page

    return web.Response(text=page(), content_type="text/html")
