"""Contract point 5: uploads."""

from __future__ import annotations

import asyncio
import hashlib
import io
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agentapi.http.app import HttpOptions
from tests.support.live import Answer, Live, serving

# aiohttp's parser warns of what clients get wrong; what they are answered is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.BadContentDispositionHeader")

LIMIT = 10 * 1024 * 1024


def part(name: str, data: bytes, headers: bytes = b"") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n%b\r\n'
    return head % (name.encode("utf-8", "surrogateescape"), headers) + data + b"\r\n"


def read(path: Path) -> bytes:
    return path.read_bytes()


async def send(live: Live, body: bytes) -> Answer:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    data = io.BytesIO(body + b"--b--\r\n")
    return await live.call("POST", "/upload", data=data, headers=headers)


async def upload(live: Live, name: str, data: bytes = b"data") -> Answer:
    return await send(live, part(name, data))


async def test_contract_point_5_a_file_is_kept_under_its_content_and_its_base_name() -> None:
    async with serving() as live:
        form = aiohttp.FormData()
        form.add_field("file", b"hello", filename="notes.txt")
        answer = await live.call("POST", "/upload", data=form)
        assert (answer.status, answer.json["ok"]) == (200, True)
        path = Path(answer.json["filePath"])
        assert read(path) == b"hello"
        assert path.name == "notes.txt"
        assert path.parent.name == hashlib.sha256(b"hello").hexdigest()[:16]
        assert [one.stat().st_mode & 0o777 for one in (path, *path.parents[:2])] == [
            0o600,
            0o700,
            0o700,
        ]
    assert not path.parent.parent.exists()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("a/b/c.txt", "c.txt"),
        ("folder/", "folder"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("with blanks.txt", "with blanks.txt"),
        ("Ünïcode 文件 😀.txt", "Ünïcode 文件 😀.txt"),
        ("C:\\x.txt", "C:\\x.txt"),
        ("x" * 255, "x" * 255),
    ],
)
async def test_contract_point_5_only_the_base_name_counts(given: str, kept: str) -> None:
    async with serving() as live:
        answer = await upload(live, given.replace("\\", "\\\\"))
        assert answer.status == 200, answer.text
        path = Path(answer.json["filePath"])
        assert path.name == kept
        assert read(path) == b"data"


@pytest.mark.parametrize("name", ["", ".", "..", "/", "../..", "x" * 256, "é" * 150])
async def test_contract_point_5_a_name_that_is_none_is_422(name: str) -> None:
    async with serving() as live:
        answer = await upload(live, name)
        assert answer.status == 422, answer.text
        assert answer.json["errors"][0]["location"] == "file"


@pytest.mark.parametrize("char", ["\x00", "\x01", "\x7f", "\n"])
async def test_contract_point_5_control_characters_in_a_name_are_a_4xx(char: str) -> None:
    async with serving() as live:
        assert 400 <= (await upload(live, f"a{char}b")).status < 500
        head = (
            b'--b\r\nContent-Disposition: form-data; name="file";'
            b" filename*=UTF-8''a%%%02Xb\r\n\r\nx\r\n" % ord(char)
        )
        assert 400 <= (await send(live, head)).status < 500


async def test_contract_point_5_over_10_mib_is_400_and_10_mib_is_not() -> None:
    async with serving() as live:
        answer = await upload(live, "big", b"x" * LIMIT)
        assert answer.status == 200
        assert len(read(Path(answer.json["filePath"]))) == LIMIT
        answer = await upload(live, "bigger", b"x" * (LIMIT + 1))
        assert (answer.status, answer.json["detail"]) == (400, "file size exceeds 10MB limit")
        folder = Path((await upload(live, "x")).json["filePath"]).parent.parent
        assert sum(path.is_file() for path in folder.iterdir()) == 0  # nothing half-read is left


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "File required"),
        (
            part("a", b"1") + part("b", b"2"),
            "Multiple files received but only one was expected",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\n1\r\n',
            "File required",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n',
            "a file is expected: a part with a file name",
        ),
    ],
    ids=["none", "two", "another field", "not a file"],
)
async def test_contract_point_5_no_file_or_two_is_422(body: bytes, words: str) -> None:
    async with serving() as live:
        answer = await send(live, body)
        assert (answer.status, answer.json["detail"]) == (422, "validation failed"), answer.text
        assert answer.json["errors"] == [{"message": words, "location": "file"}]


async def test_contract_point_5_other_fields_are_passed_over() -> None:
    other = b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n'
    async with serving() as live:
        assert (await send(live, other + part("a", b"1"))).status == 200


NO_FORM = "request Content-Type isn't multipart/form-data"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("application/json", NO_FORM),
        ("text/plain", NO_FORM),
        ("multipart/mixed; boundary=b", NO_FORM),
        ("multipart/form-data", "no multipart boundary param in Content-Type"),
    ],
)
async def test_contract_point_5_what_is_no_form_is_422_at_the_body(kind: str, why: str) -> None:
    async with serving() as live:
        headers = {"Content-Type": kind}
        answer = await live.call("POST", "/upload", data=b"{}", headers=headers)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.status, answer.json["detail"]) == (422, "validation failed")
        message = f"cannot read multipart form: {why}"
        assert answer.json["errors"] == [{"message": message, "location": "body"}]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "multipart: NextPart: EOF"),
        (b"garbage", "multipart: NextPart: EOF"),
        (b"--other\r\n\r\n", "multipart: NextPart: EOF"),
        (b"--b\r\nX", ""),
        (b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 99, ""),
        (part("a", b"1" * 40)[:-20], "unexpected EOF"),
    ],
)
async def test_contract_point_5_a_broken_form_is_422_at_the_body(data: bytes, why: str) -> None:
    async with serving(HttpOptions(body_timeout=0.2)) as live:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await live.call("POST", "/upload", data=data, headers=headers)
        assert answer.status == 422, answer.text
        (error,) = answer.json["errors"]
        assert error["location"] == "body"
        assert error["message"].startswith(f"cannot read multipart form: {why}")


async def test_contract_point_5_other_fields_that_are_too_large_are_422() -> None:
    other = b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\n%b\r\n'
    async with serving() as live:
        answer = await send(live, other % (b"x" * (LIMIT + 1)) + part("a", b"1"))
        assert answer.status == 422
        assert "message too large" in answer.json["errors"][0]["message"]
        assert (await send(live, other % (b"x" * 2_000_000) + part("a", b"1"))).status == 200


async def test_contract_point_5_an_upload_that_stands_still_is_408() -> None:
    async with serving(HttpOptions(body_timeout=0.05)) as live:
        answer = await live.exchange(
            b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + part("a", b"1")
        )
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_contract_point_5_uploads_at_once_do_not_mix() -> None:
    async with serving() as live:
        contents = [bytes([number]) * 300_000 for number in range(8)] * 2
        answers: list[Any] = await asyncio.gather(
            *(upload(live, "same.txt", data) for data in contents)
        )
        for answer, data in zip(answers, contents, strict=True):
            assert read(Path(answer.json["filePath"])) == data
