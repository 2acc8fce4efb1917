"""Contract points 14 to 17: the command line."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import ANSWERING, daemon, eventually


async def output(*words: str) -> tuple[int, str]:
    """The status and standard output of `agentapi` with these words."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agentapi", *words, stdout=asyncio.subprocess.PIPE
    )
    text, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, text.decode()


async def test_point_14_the_last_word_is_the_version() -> None:
    assert await output("-v") == await output("--version")
    status, text = await output("--version")
    assert status == 0
    (line,) = text.splitlines()
    assert tuple(map(int, line.split()[-1].split("."))) >= (0, 12, 0)
    assert len(line.split()[-1].split(".")) == 3


async def test_point_15_words_before_the_dashes_belong_to_the_agent(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = f"import sys; open({str(seen)!r}, 'w').write(repr(sys.argv[1:]))"
    async with daemon(sys.executable, "-p=0", "-c", "/chat", "--", "-c", program, "-p", "x") as one:
        assert await one.wait() == 0
    assert seen.read_text() == "['-p', 'x']"


async def test_point_15_each_option_is_a_variable_and_the_flag_wins() -> None:
    async with daemon(
        "--type=goose", "--", "cat", AGENTAPI_TYPE="claude", AGENTAPI_CHAT_BASE_PATH="/base"
    ) as one:
        assert (await one.get("/status"))["agent_type"] == "goose"
        async with one.client.get(await one.url() + "/", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (307, "/base/embed")


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--port=70000", "cat"], {}, "--port: '70000' is not allowed: a whole number"),
        (["cat"], {"AGENTAPI_PORT": "http"}, "AGENTAPI_PORT: 'http' is not allowed"),
        (["--type=nobody", "cat"], {}, "--type: 'nobody' is not allowed: one of claude"),
        (["--type=Claude", "cat"], {}, "--type: 'Claude' is not allowed: one of claude"),
        (["--term-width=9", "cat"], {}, "--term-width: '9' is not allowed"),
        (["--save-state", "cat"], {}, "--save-state needs a state file"),
        (["--experimental-acp", "-s", "x", "cat"], {}, "exclude each other"),
        (["--wrong", "cat"], {}, "No such option"),
        ([], {}, "no agent given"),
    ],
)
async def test_point_15_what_is_wrong_is_said_and_the_status_is_2(
    words: list[str], environment: dict[str, Any], said: str
) -> None:
    async with daemon(*words, **environment) as one:
        assert await one.wait() == 2
        assert said in one.log
        assert "Traceback" not in one.log


async def test_point_15_the_openapi_document_needs_no_agent(tmp_path: Path) -> None:
    status, text = await output("server", "--print-openapi", "--", "touch", str(tmp_path / "ran"))
    assert status == 0
    assert "/message" in json.loads(text)["paths"]
    assert not (tmp_path / "ran").exists()
    assert (await output("server", "-P"))[0] == 0


async def test_a_port_in_use_ends_it_before_the_agent_starts(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        async with daemon("-p", str(port), "--", "touch", str(tmp_path / "ran")) as one:
            assert await one.wait() == 2
            assert f"port {port} is already in use" in one.log
    assert not (tmp_path / "ran").exists()


def has_ipv6() -> bool:
    return Path("/proc/net/if_inet6").exists()


async def test_by_default_both_loopback_addresses_are_served() -> None:
    async with daemon("--", "cat", AGENTAPI_HOST="") as one:
        url = await one.url()
        port = url.rpartition(":")[2]
        for address in ["127.0.0.1", "[::1]"] if has_ipv6() else ["127.0.0.1"]:
            async with one.client.get(f"http://{address}:{port}/status") as response:
                assert response.status == 200


@pytest.mark.parametrize(
    ("name", "kind"), [("claude", "claude"), ("q", "amazonq"), ("x", "custom")]
)
async def test_point_16_the_programs_name_says_the_type(
    tmp_path: Path, name: str, kind: str
) -> None:
    program = tmp_path / name
    program.symlink_to(str(shutil.which("cat")))
    async with daemon("--", str(program)) as one:
        assert (await one.get("/status"))["agent_type"] == kind


async def test_point_17_standard_input_is_the_initial_prompt_and_delays_nothing() -> None:
    async with daemon("--", *ANSWERING, stdin=asyncio.subprocess.PIPE) as one:
        assert (await one.get("/status"))["status"] == "running"
        stdin = one.process.stdin
        assert stdin is not None
        stdin.write(b"\n  from a pipe \n")
        stdin.close()
        await one.until(lambda messages: ("user", "from a pipe") in messages)
        assert [role for role, _ in await one.messages()].count("user") == 1


async def test_point_17_blank_input_is_no_prompt_and_a_given_one_wins(tmp_path: Path) -> None:
    blank = tmp_path / "blank"
    blank.write_text(" \n")
    with blank.open() as stream:
        async with daemon("--", *ANSWERING, stdin=stream.fileno()) as one:
            await one.stable()
            assert [role for role, _ in await one.messages()] == ["agent"]
    async with daemon("-I=given", "--", *ANSWERING, stdin=asyncio.subprocess.PIPE) as one:
        await one.until(lambda messages: ("user", "given") in messages)


async def test_the_agent_sees_nothing_of_ours(tmp_path: Path) -> None:
    seen = tmp_path / "environment"
    command = f"env > '{seen}.part'; mv '{seen}.part' '{seen}'; exec cat"
    async with daemon("--", "sh", "-c", command, AGENTAPI_AUTH_TOKEN="s3cret", MARK="1") as one:
        await eventually(seen.exists)
        assert "MARK=1" in seen.read_text().splitlines()
        assert "s3cret" not in seen.read_text()
        async with one.client.get(await one.url() + "/status") as response:
            assert response.status == 401


async def test_the_log_is_text_or_json() -> None:
    async with daemon("--log-format=json", "--", "true") as one:
        await one.wait()
        lines = [json.loads(line) for line in one.log.splitlines()]
    assert any("serving on" in line["message"] for line in lines)
    assert {line.keys() >= {"time", "level", "logger", "message"} for line in lines} == {True}
    async with daemon("--log-level=error", "--port", str(free_port()), "--", "true") as one:
        await one.wait()
        assert one.log == ""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return int(one.getsockname()[1])


async def test_raw_keys_are_never_logged(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command = f"read line; echo $line > '{seen}.part'; mv '{seen}.part' '{seen}'; exec cat"
    async with daemon("--log-level=debug", "--", "sh", "-c", command) as one:
        assert await one.say("hunter2\r", "raw") == 200
        await eventually(seen.exists)
        assert seen.read_text() == "hunter2\n"
        await one.end()
        assert "hunter2" not in one.log
