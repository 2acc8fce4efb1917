"""Contract point 6: the pages, the documents, and that they may be shown in an iframe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentapi.chat import STATIC
from agentapi.http.app import HttpOptions
from agentapi.http.openapi import document
from tests.support.live import serving

# The structure of coder/agentapi 0.12.1's document, without its prose.
OTHER = Path(__file__).with_name("upstream_openapi_0_12_1.json")


@pytest.mark.parametrize(
    ("base", "location"),
    [
        ("/chat", "/chat/embed"),
        ("/@owner/ws/apps/slug/chat", "/@owner/ws/apps/slug/chat/embed"),
        ("/x/", "/x/embed"),
        ("", "/embed"),
    ],
)
async def test_contract_point_6_the_root_leads_to_the_page(base: str, location: str) -> None:
    async with serving(HttpOptions(chat_base_path=base)) as live:
        answer = await live.get("/")
        assert (answer.status, answer.headers["Location"]) == (307, location)


async def test_contract_point_6_embed_leads_to_embed_slash() -> None:
    async with serving() as live:
        answer = await live.get("/chat/embed?url=http://x")
        assert (answer.status, answer.headers["Location"]) == (301, "embed/?url=http://x")


@pytest.mark.parametrize("path", ["/chat", "/chat/", "/chat/embed/"])
@pytest.mark.parametrize("base", ["/chat", "/deep/prefix/chat"])
async def test_contract_point_6_the_pages_are_served_at_chat_whatever_the_base(
    path: str, base: str
) -> None:
    async with serving(HttpOptions(chat_base_path=base)) as live:
        answer = await live.get(path)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "X-Frame-Options" not in answer.headers
        assert "frame-ancestors" not in answer.headers.get("Content-Security-Policy", "")


async def test_contract_point_6_assets_are_served_with_their_types() -> None:
    kinds = {".js": "text/javascript", ".css": "text/css"}
    async with serving() as live:
        for file in STATIC.rglob("*"):
            if file.suffix in kinds:
                answer = await live.get(f"/chat/{file.relative_to(STATIC).as_posix()}")
                assert answer.status == 200
                assert answer.headers["Content-Type"].startswith(kinds[file.suffix])
                assert answer.body == file.read_bytes()


@pytest.mark.parametrize(
    "path",
    ["../__init__.py", "%2e%2e/__init__.py", "nothing.js", "a%00b", "%2fetc/passwd", "vendor"],
)
async def test_contract_point_6_nothing_else_is_served_below_chat(path: str) -> None:
    async with serving() as live:
        head = f"GET /chat/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert (await live.exchange(head.encode())).startswith(b"HTTP/1.1 404 ")


async def test_contract_point_6_the_documents_are_served() -> None:
    async with serving() as live:
        answer = await live.get("/openapi.json")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/openapi+json")
        assert answer.json == document()
        answer = await live.get("/openapi.yaml")
        assert yaml.safe_load(answer.text) == document()


async def test_contract_point_6_every_schema_has_its_address() -> None:
    async with serving() as live:
        for name, schema in document()["components"]["schemas"].items():
            answer = await live.get(f"/schemas/{name}.json")
            assert answer.status == 200
            assert answer.json.get("required") == schema.get("required")
            for reference in references(answer.json):
                assert (await live.get(f"/schemas/{reference}")).status == 200
        assert (await live.get("/schemas/Nothing.json")).status == 404


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    if not isinstance(value, dict):
        return []
    found = [reference for item in value.values() for reference in references(item)]
    return [*found, value["$ref"]] if "$ref" in value else found


async def test_contract_point_6_the_docs_ask_for_nothing_from_elsewhere() -> None:
    async with serving() as live:
        text = (await live.get("/docs")).text
        assert "post-message" in text
        assert "http://" not in text
        assert "https://" not in text
        assert "<script" not in text


# -- the shared part equals upstream's document ---------------------------------------------------

WORDS = {"description", "summary", "example"}
"""Members that are prose, not structure."""


def structure(value: Any, *, inside_properties: bool = False) -> Any:
    """The value without prose, with lists of words in one order."""
    if isinstance(value, list):
        items = [structure(item) for item in value]
        return sorted(items, key=json.dumps)
    if not isinstance(value, dict):
        return value
    return {
        key: structure(item, inside_properties=key == "properties")
        for key, item in value.items()
        if inside_properties or key not in WORDS
    }


def upstream() -> Any:
    return json.loads(OTHER.read_text())


@pytest.mark.parametrize("name", sorted(upstream()["components"]["schemas"]))
def test_contract_point_6_shared_schemas_equal_upstream(name: str) -> None:
    ours = document()["components"]["schemas"][name]
    theirs = upstream()["components"]["schemas"][name]
    assert structure(ours) == structure(theirs)


@pytest.mark.parametrize("path", sorted(upstream()["paths"]))
def test_contract_point_6_shared_operations_equal_upstream(path: str) -> None:
    assert structure(document()["paths"][path]) == structure(upstream()["paths"][path])


def test_contract_point_6_the_document_is_of_the_same_kind() -> None:
    assert document()["openapi"] == upstream()["openapi"]
    assert document()["info"]["title"] == upstream()["info"]["title"]


def test_contract_point_6_every_reference_resolves() -> None:
    schemas = document()["components"]["schemas"]
    for reference in references(document()):
        assert reference.removeprefix("#/components/schemas/") in schemas
