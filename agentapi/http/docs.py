"""`/docs`: the OpenAPI document as one self-contained page."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from typing import Any

from agentapi.http.openapi import REF, document

Json = dict[str, Any]

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid #8884; border-radius: 6px; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8884; padding-bottom: .25rem; }
h3 code { font-size: 1.1rem; }
.method { display: inline-block; min-width: 3.5rem; font-weight: 700; text-transform: uppercase; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-top: 1px solid #8884; }
"""


@cache
def page() -> str:
    """Return the page."""
    api = document()
    info = api["info"]
    title = escape(f"{info['title']} {info['version']}")
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(_schema(*item) for item in api["components"]["schemas"].items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f"<h1>{title}</h1><p>{escape(info['description'])} The same for programs:"
        ' <a href="openapi.json">openapi.json</a>, <a href="openapi.yaml">openapi.yaml</a>.</p>'
        f"<h2>Endpoints</h2>{operations}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _operation(method: str, path: str, operation: Json) -> str:
    request = operation.get("requestBody", {}).get("content", {})
    rows = "".join(_content("request", request))
    for status, answer in operation["responses"].items():
        rows += "".join(_content(status, answer.get("content", {})))
    return (
        f'<h3 id="{escape(operation["operationId"])}"><span class="method">{method}</span>'
        f" <code>{escape(path)}</code></h3><p>{escape(operation['description'])}</p>"
        f"<table><tr><th></th><th>type</th><th>body</th></tr>{rows}</table>"
    )


def _content(label: str, content: Json) -> list[str]:
    return [
        f"<tr><td>{escape(label)}</td><td><code>{escape(kind)}</code></td>"
        f"<td>{_type(body['schema'])}</td></tr>"
        for kind, body in content.items()
    ]


def _schema(name: str, schema: Json) -> str:
    head = f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3>'
    if "properties" not in schema:
        return f"{head}<pre>{escape(json.dumps(schema.get('enum', schema)))}</pre>"
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(member)}</code>{'' if member in required else ' (optional)'}</td>"
        f"<td>{_type(kind)}</td><td>{escape(kind.get('description', ''))}</td></tr>"
        for member, kind in schema["properties"].items()
    )
    return f"{head}<table><tr><th>member</th><th>type</th><th></th></tr>{rows}</table>"


def _type(schema: Json) -> str:
    if "allOf" in schema:
        schema = schema | schema["allOf"][0]
    if "$ref" in schema:
        name = escape(schema["$ref"].removeprefix(REF))
        text = f'<a href="#{name}"><code>{name}</code></a>'
    elif "oneOf" in schema.get("items", {}):
        kinds = schema["items"]["oneOf"]
        text = "events: " + ", ".join(
            f"{escape(kind['properties']['event']['const'])} {_type(kind['properties']['data'])}"
            for kind in kinds
        )
    elif schema.get("type") == "array":
        text = f"list of {_type(schema['items'])}"
    else:
        kind = schema.get("format") or schema.get("type", "any")
        text = f"<code>{escape(str(kind))}</code>"
    return text + (" or null" if schema.get("nullable") else "")
