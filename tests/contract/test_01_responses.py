"""Contract point 1: what a success and what an error looks like."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agentapi.http.app import HttpOptions
from agentapi.http.problems import MAX_ERRORS, MAX_VALUE
from tests.support.live import Live, serving

JSON = {"Content-Type": "application/json"}
MISSING = "expected required property %s to be present"


async def post(live: Live, data: bytes, headers: dict[str, str] = JSON) -> tuple[int, Any]:
    answer = await live.call("POST", "/message", data=data, headers=headers)
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.text, parse_constant=pytest.fail)  # no NaN: that is not JSON
    assert problem["$schema"].endswith("/schemas/ErrorModel.json")
    assert problem["status"] == answer.status
    assert problem["title"]
    assert problem["detail"]
    assert isinstance(problem.get("errors", []), list)
    return answer.status, problem


@pytest.mark.parametrize("path", ["/status", "/messages", "/session", "/approval"])
async def test_contract_point_1_success_is_200_json_that_names_its_schema(path: str) -> None:
    async with serving() as live:
        answer = await live.get(path)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        name = answer.json["$schema"].removeprefix(live.url)
        assert name.startswith("/schemas/")
        assert answer.headers["Link"] == f'<{name}>; rel="describedBy"'
        assert (await live.get(name)).json["properties"]["$schema"]


async def test_contract_point_1_malformed_json_is_400() -> None:
    async with serving() as live:
        for data in (b"{", b"\xff", b'{"content":"x"} x', b"[" * 100_000):
            status, problem = await post(live, data)
            assert (status, problem["detail"]) == (400, "validation failed"), data
            assert problem["errors"][0]["location"] == "body"
            short = len(data) < MAX_VALUE
            assert problem["errors"][0].get("value") == (
                data.decode("utf-8", "replace") if short else None
            )


@pytest.mark.parametrize("count", [1_000, 80_000])
async def test_a_body_of_many_faults_is_told_a_few_of_them(count: int) -> None:
    """Each unexpected property has the whole object for its value in upstream's errors."""
    data = json.dumps({str(number): 1 for number in range(count)}).encode()
    async with serving() as live:
        status, problem = await post(live, data)
        assert status == 422
        assert len(problem["errors"]) == MAX_ERRORS
        assert len(json.dumps(problem)) < 20_000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"  ", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b'{"content":"a', "unexpected end of JSON input"),
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b"{content:1}", "invalid character 'c' looking for beginning of object key string"),
        (
            b'{"content":"a",}',
            "invalid character '}' looking for beginning of object key string",
        ),
        (b"[1,]", "invalid character ']' looking for beginning of value"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b'{"content" "a"}', "invalid character '\"' after object key"),
        (b'{"content":"a" "type":1}', "invalid character '\"' after object key:value pair"),
        (b'{"content":"a"}x', "invalid character 'x' after top-level value"),
        (rb'{"content":"\q"}', "invalid character 'q' in string escape code"),
        (b'{"content":"\n"}', r"invalid character '\n' in string literal"),
        (b'{"content":NaN}', "invalid character 'N' looking for beginning of value"),
        (b"\xef\xbb\xbf{}", ""),
    ],
)
async def test_contract_point_1_malformed_json_is_explained_as_upstream_does(
    data: bytes, words: str
) -> None:
    async with serving() as live:
        status, problem = await post(live, data)
        assert status == 400
        assert problem["errors"][0]["message"].startswith(words)


async def test_contract_point_1_an_absent_body_is_400() -> None:
    async with serving() as live:
        for headers in (JSON, {"Content-Type": "text/plain"}):
            status, problem = await post(live, b"", headers)
            assert (status, "errors" in problem) == (400, False)
            assert problem["detail"] == "request body is required"


@pytest.mark.parametrize(
    ("data", "location", "words", "value"),
    [
        (b'{"type":"user"}', "body", MISSING % "content", {"type": "user"}),
        (b'{"content":"x"}', "body", MISSING % "type", {"content": "x"}),
        (b"{}", "body", MISSING % "content", {}),
        (
            b'{"content":"x","type":"user","extra":1}',
            "body.extra",
            "unexpected property",
            {"content": "x", "type": "user", "extra": 1},
        ),
        (b'{"content":1,"type":"user"}', "body.content", "expected string", 1),
        (b'{"content":null,"type":"user"}', "body.content", "expected string", None),
        (b'{"content":"x","type":5}', "body.type", "expected string", 5),
        (
            b'{"content":"x","type":"other"}',
            "body.type",
            "expected value to be one of 'raw' or 'user'",
            "other",
        ),
        (b"[]", "body", "expected object", []),
        (b"null", "body", "expected object", None),
        (b'"x"', "body", "expected object", "x"),
    ],
)
async def test_contract_point_1_an_invalid_body_is_422(
    data: bytes, location: str, words: str, value: object
) -> None:
    async with serving() as live:
        live.driver.idle()
        status, problem = await post(live, data)
        assert (status, problem["detail"]) == (422, "validation failed")
        error = {"location": location, "message": words}
        assert problem["errors"][0] == (error if value is None else error | {"value": value})
        assert live.driver.sent == []


@pytest.mark.parametrize(
    "value",
    [b"1e999", b"-1e999", b"1" * 5000, b'{"a":1e999}', rb'{"a":"\ud800"}', b"[" * 900 + b"]" * 900],
)
@pytest.mark.parametrize("place", [b'"content"', b'"other"'])
async def test_contract_point_1_a_value_that_no_json_holds_is_refused_all_the_same(
    value: bytes, place: bytes
) -> None:
    async with serving() as live:
        status, problem = await post(live, b'{"type":"raw",%b:%b}' % (place, value))
        assert status in (400, 422)
        assert problem["errors"]


async def test_contract_point_1_every_fault_of_a_body_is_told() -> None:
    async with serving() as live:
        _, problem = await post(live, b'{"content":5,"z":1}')
        assert [error["location"] for error in problem["errors"]] == [
            "body.content",
            "body",
            "body.z",
        ]


async def test_contract_point_1_the_schema_member_is_allowed_in_a_request() -> None:
    async with serving() as live:
        body = {"$schema": "http://x/y.json", "content": "x", "type": "raw"}
        assert (await live.post("/message", body)).status == 200


async def test_contract_point_1_a_body_of_1_mib_is_413_and_one_byte_less_is_not() -> None:
    async with serving() as live:
        head, tail = b'{"type":"raw","content":"', b'"}'
        room = 1024 * 1024 - len(head) - len(tail)
        status, problem = await post(live, head + b"x" * room + tail)
        assert status == 413
        assert problem["detail"] == "request body is too large limit=1048576 bytes"
        answer = await live.call(
            "POST", "/message", data=head + b"x" * (room - 1) + tail, headers=JSON
        )
        assert answer.status == 200


async def test_contract_point_1_a_body_of_1_mib_without_a_length_is_413() -> None:
    async with serving() as live:
        chunk = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
        request = (
            b"POST /message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        async with live.connect(request + chunk * 16) as reader:
            assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (rb"a\ud83d b", "a\ufffd b"),
        (rb"a\uDE00b", "a\ufffdb"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
        (rb"\ud83d\ude00", "😀"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"\u0000\n", "\0\n"),
    ],
)
async def test_contract_point_1_half_a_surrogate_pair_breaks_nothing(
    written: bytes, meant: str
) -> None:
    async with serving() as live:
        data = b'{"content":"%b","type":"raw"}' % written
        answer = await live.call("POST", "/message", data=data, headers=JSON)
        assert answer.status == 200
        assert live.driver.typed == [meant]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "Application/XML", "json"]
)
async def test_contract_point_1_a_wrong_content_type_is_415(kind: str) -> None:
    async with serving() as live:
        status, problem = await post(live, b'{"content":', {"Content-Type": kind})
        assert (status, problem["detail"]) == (415, "validation failed")
        message = f"unknown content type: {kind}"
        assert problem["errors"] == [
            {"message": message, "location": "body", "value": '{"content":'}
        ]


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/merge-patch+json"]
)
async def test_contract_point_1_json_content_types_are_taken(kind: str) -> None:
    async with serving() as live:
        answer = await live.call(
            "POST",
            "/message",
            data=b'{"content":"x","type":"raw"}',
            headers={"Content-Type": kind},
        )
        assert answer.status == 200


async def test_contract_point_1_a_body_without_a_content_type_is_taken_as_json() -> None:
    async with serving() as live:
        body = b'{"content":"x","type":"raw"}'
        answer = await live.exchange(
            b"POST /message HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert live.driver.typed == ["x"]


async def test_contract_point_1_a_body_that_does_not_arrive_is_408() -> None:
    async with serving(HttpOptions(body_timeout=0.05)) as live:
        answer = await live.exchange(
            b"POST /message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"content":'
        )
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answer
        assert b'"detail":"request body read timeout"' in answer


def test_contract_point_1_a_body_has_5_seconds() -> None:
    assert HttpOptions().body_timeout == 5


async def test_contract_point_1_an_unknown_route_is_404_as_text() -> None:
    async with serving() as live:
        for method in ("GET", "POST"):
            answer = await live.call(method, "/nowhere")
            assert answer.status == 404
            assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/status", "GET"),
        ("HEAD", "/status", "GET"),
        ("DELETE", "/messages", "GET"),
        ("GET", "/message", "POST"),
        ("PUT", "/upload", "POST"),
        ("OPTIONS", "/events", "GET"),
    ],
)
async def test_contract_point_1_a_wrong_method_is_405_with_allow(
    method: str, path: str, allow: str
) -> None:
    async with serving() as live:
        answer = await live.call(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, allow)


async def test_contract_point_1_a_broken_request_costs_nobody_else_anything() -> None:
    async with serving() as live:
        for garbage in (b"\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
            assert (await live.exchange(garbage)).startswith(b"HTTP/1.")
        assert (await live.get("/status")).status == 200


async def test_contract_point_1_requests_on_one_connection_are_answered_in_order() -> None:
    async with serving() as live:
        request = b"GET /status HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
        answer = await live.exchange(request % b"" + request % b"Connection: close\r\n")
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        await asyncio.sleep(0)
