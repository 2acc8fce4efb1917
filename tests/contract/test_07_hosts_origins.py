"""Contract point 7: the Host rule and CORS."""

from __future__ import annotations

import pytest

from agentapi.agents.registry import agent_types
from agentapi.http.app import HttpOptions
from agentapi.settings.settings import server_settings
from tests.support.live import Live, serving

REFUSAL = b"Invalid host header. Allowed hosts: localhost, 127.0.0.1, ::1\n"
PREFLIGHT = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
CORS = ("Allow-Origin", "Allow-Credentials", "Allow-Methods", "Allow-Headers", "Max-Age")


async def ask(live: Live, host: str, path: str = "/status", more: str = "") -> bytes:
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"
    return await live.exchange(head.encode())


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:9", "127.0.0.1", "127.0.0.1:3284", "[::1]", "[::1]:3284"]
)
async def test_contract_point_7_allowed_hosts_pass_whatever_the_port(host: str) -> None:
    async with serving() as live:
        assert (await ask(live, host)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "::1", "", "[", "a b"])
async def test_contract_point_7_another_host_is_400_as_text(host: str) -> None:
    async with serving() as live:
        answer = await ask(live, host, more="Origin: http://localhost:3000\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        if b"Invalid host" in answer:  # else the parser refused it
            assert b"\r\nContent-Type: text/plain" in answer
            assert answer.endswith(b"\r\n\r\n" + REFUSAL)


async def test_contract_point_7_the_refusal_quotes_the_hosts_as_they_were_given() -> None:
    environment = {"AGENTAPI_ALLOWED_HOSTS": "localhost Example.COM [FE80::1]"}
    settings = server_settings({}, environment, ["cat"], agent_types())
    async with serving(HttpOptions(allowed_hosts=settings.allowed_hosts)) as live:
        answer = await ask(live, "evil.example")
        assert answer.endswith(b"Allowed hosts: localhost, Example.COM, FE80::1\n")
        for host in ("example.com", "EXAMPLE.com:80", "[fe80::1]"):
            assert (await ask(live, host)).startswith(b"HTTP/1.1 200 ")


async def test_contract_point_7_a_request_without_a_host_is_400() -> None:
    async with serving() as live:
        answer = await live.exchange(b"GET /status HTTP/1.0\r\n\r\n")
        assert answer.endswith(REFUSAL)


async def test_contract_point_7_the_host_is_checked_before_cors() -> None:
    async with serving() as live:
        answer = await live.call(
            "OPTIONS", "/status", headers={**PREFLIGHT, "Host": "evil.example"}
        )
        assert answer.status == 400


async def test_contract_point_7_the_host_is_checked_on_unknown_routes_too() -> None:
    async with serving() as live:
        assert (await ask(live, "evil.example", "/nowhere")).startswith(b"HTTP/1.1 400 ")


async def test_contract_point_7_a_star_allows_every_host() -> None:
    async with serving(HttpOptions(allowed_hosts=("*",))) as live:
        assert (await ask(live, "evil.example")).startswith(b"HTTP/1.1 200 ")


async def test_contract_point_7_the_list_is_the_one_that_was_given() -> None:
    async with serving(HttpOptions(allowed_hosts=("a.example", "B.example"))) as live:
        assert (await ask(live, "b.EXAMPLE:1")).startswith(b"HTTP/1.1 200 ")
        answer = await ask(live, "localhost")
        assert answer.endswith(b"Invalid host header. Allowed hosts: a.example, B.example\n")


@pytest.mark.parametrize("port", [3284, 3000, 3001])
async def test_contract_point_7_default_origins_get_cors_headers(port: int) -> None:
    async with serving() as live:
        origin = f"http://localhost:{port}"
        headers = (await live.get("/status", headers={"Origin": origin})).headers
        assert headers["Access-Control-Allow-Origin"] == origin
        assert headers["Access-Control-Allow-Credentials"] == "true"
        assert headers["Access-Control-Expose-Headers"] == "Link"
        assert headers["Vary"] == "Origin"


async def test_contract_point_7_errors_and_streams_get_cors_headers_too() -> None:
    async with serving() as live:
        origin = {"Origin": "http://localhost:3000"}
        answer = await live.call("POST", "/message", data=b"", headers=origin)
        assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
        async with live.client.get(live.url + "/events", headers=origin) as stream:
            assert stream.headers["Access-Control-Allow-Origin"] == origin["Origin"]


async def test_contract_point_7_a_foreign_origin_is_served_without_cors_headers() -> None:
    async with serving() as live:
        answer = await live.get("/status", headers={"Origin": "https://evil.example"})
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


async def test_contract_point_7_a_preflight_lists_what_was_asked_for() -> None:
    async with serving() as live:
        asked = {**PREFLIGHT, "Access-Control-Request-Headers": "content-type, authorization"}
        answer = await live.call("OPTIONS", "/message", headers=asked)
        assert (answer.status, answer.body) == (200, b"")
        assert {name: answer.headers.get(f"Access-Control-{name}") for name in CORS} == {
            "Allow-Origin": "http://localhost:3000",
            "Allow-Credentials": "true",
            "Allow-Methods": "POST",
            "Allow-Headers": "content-type, authorization",
            "Max-Age": "300",
        }
        answer = await live.call("OPTIONS", "/message", headers=PREFLIGHT)
        assert "Access-Control-Allow-Headers" not in answer.headers


@pytest.mark.parametrize(
    "wrong",
    [
        {"Origin": "https://evil.example"},
        {"Access-Control-Request-Method": "PATCH"},
        {"Access-Control-Request-Headers": "x-secret"},
    ],
)
async def test_contract_point_7_a_preflight_for_anything_else_grants_nothing(
    wrong: dict[str, str],
) -> None:
    async with serving() as live:
        answer = await live.call("OPTIONS", "/message", headers={**PREFLIGHT, **wrong})
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://a.example.com", True),
        ("https://a.b.example.com", True),
        ("HTTPS://A.EXAMPLE.COM", True),
        ("https://example.com", False),
        ("http://a.example.com", False),
        ("https://a.example.com.evil.example", False),
        ("https://evilexample.com", False),
        ("null", False),
    ],
)
async def test_contract_point_7_origins_may_hold_a_wildcard(origin: str, allowed: bool) -> None:
    async with serving(HttpOptions(allowed_origins=("https://*.example.com",))) as live:
        answer = await live.get("/status", headers={"Origin": origin})
        assert ("Access-Control-Allow-Origin" in answer.headers) is allowed


async def test_contract_point_7_a_star_allows_every_origin() -> None:
    async with serving(HttpOptions(allowed_origins=("*",))) as live:
        answer = await live.get("/status", headers={"Origin": "https://any.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
