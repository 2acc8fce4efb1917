"""Contract point 21: the state file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.daemon import ANSWERING, daemon

UPSTREAM = {
    "version": 1,
    "messages": [
        {"id": 0, "message": "Welcome", "role": "agent", "time": "2026-03-01T12:30:15.5+01:00"},
        {"id": 1, "message": "first", "role": "user", "time": "2026-03-01T12:30:16Z"},
        {"id": 2, "message": "answer", "role": "agent", "time": "2026-03-01T12:30:17Z"},
    ],
    "initial_prompt": "first",
    "initial_prompt_sent": True,
}
OLD = [("agent", "Welcome"), ("user", "first"), ("agent", "answer")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "state.json"


@pytest.fixture
def upstreams(file: Path) -> Path:
    """A state file that upstream saved."""
    file.parent.mkdir()
    file.write_text(json.dumps(UPSTREAM))
    return file


async def test_point_21_messages_come_back_and_ids_go_on(upstreams: Path) -> None:
    async with daemon("-s", str(upstreams), "--", *ANSWERING) as one:
        assert await one.messages() == OLD
        await one.stable()
        assert await one.say("second") == 200
        await one.until(lambda messages: ("user", "second") in messages)
        found = await one.messages()
        assert found[:4] == [*OLD, ("user", "second")]
        await one.end()
    saved = json.loads(upstreams.read_text())
    assert saved.keys() == UPSTREAM.keys()
    assert [message["id"] for message in saved["messages"]] == list(range(len(saved["messages"])))
    assert saved["messages"][0]["time"] == "2026-03-01T11:30:15.500000Z"


async def test_point_21_the_same_prompt_is_not_sent_again(upstreams: Path) -> None:
    async with daemon("-s", str(upstreams), "-I", "first", "--", *ANSWERING) as one:
        await one.stable()
        assert await one.messages() == OLD


async def test_point_21_a_different_prompt_is_sent(upstreams: Path) -> None:
    async with daemon("-s", str(upstreams), "-I", "another", "--", *ANSWERING) as one:
        await one.until(lambda messages: ("user", "another") in messages)
        await one.end()
    saved = json.loads(upstreams.read_text())
    assert (saved["initial_prompt"], saved["initial_prompt_sent"]) == ("another", True)


async def test_point_21_a_saved_prompt_that_was_not_sent_is(upstreams: Path) -> None:
    unsent = UPSTREAM | {"initial_prompt": "left over", "initial_prompt_sent": False}
    upstreams.write_text(json.dumps(unsent))
    async with daemon("-s", str(upstreams), "--", *ANSWERING) as one:
        await one.until(lambda messages: ("user", "left over") in messages)


async def test_point_21_kill_9_loses_nothing_that_a_client_was_told(file: Path) -> None:
    async with daemon("-s", str(file), "--", *ANSWERING) as one:
        await one.stable()
        assert await one.say("remember me") == 200
        one.process.kill()
        await one.wait()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    async with daemon("-s", str(file), "--", *ANSWERING) as one:
        assert ("user", "remember me") in await one.messages()


@pytest.mark.parametrize(
    "content", ["{", '{"version":2,"messages":[]}', "\x00\x01", '{"version":1']
)
async def test_point_21_a_broken_file_is_a_warning_and_stays(file: Path, content: str) -> None:
    file.parent.mkdir()
    file.write_text(content)
    async with daemon("-s", str(file), "--", *ANSWERING) as one:
        error = await one.event("agent_error")
        assert error["level"] == "warning"
        assert error["message"].startswith("Failed to restore previous session: ")
        assert str(file) in error["message"]
        await one.stable()
        assert await one.say("we go on") == 200
        assert await one.end() == 0
    assert file.read_text() == content
    async with daemon("-s", str(file), "--", *ANSWERING) as one:
        assert ("user", "we go on") in await one.messages()


async def test_two_servers_never_save_to_one_file(upstreams: Path, tmp_path: Path) -> None:
    link, ran = tmp_path / "link", tmp_path / "ran"
    link.symlink_to(upstreams)
    async with daemon("-s", str(upstreams), "--", *ANSWERING) as first:
        port = (await first.url()).rpartition(":")[2]
        async with daemon("-s", str(link), "--", "touch", str(ran)) as second:
            assert await second.wait() == 2
            assert (
                f"{link} is in use by another agentapi (process {first.process.pid}" in second.log
            )
            assert f"on port {port})" in second.log
            assert "Traceback" not in second.log
        async with daemon("-s", str(upstreams), "--save-state=false", "--", *ANSWERING) as reader:
            assert await reader.messages() == OLD
        first.process.kill()
        await first.wait()
    assert not ran.exists()
    async with daemon("-s", str(upstreams), "--", *ANSWERING) as third:
        assert await third.messages() == OLD
        assert await third.end() == 0
    assert {path.name for path in upstreams.parent.iterdir()} == {upstreams.name}


async def test_a_folder_that_cannot_be_written_is_a_wrong_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for state in (tmp_path / "file" / "state.json", Path("/proc/agentapi/state.json")):
        async with daemon("-s", str(state), "--", "touch", str(tmp_path / "ran")) as one:
            assert await one.wait() == 2
            assert f"--state-file: cannot write in '{state.parent}'" in one.log
            assert "Traceback" not in one.log
    assert not (tmp_path / "ran").exists()
    words = ("-s", str(tmp_path / "file" / "state.json"), "--save-state=false", "--", *ANSWERING)
    async with daemon(*words) as one:
        await one.stable()


async def test_a_disk_that_is_full_is_a_warning(file: Path) -> None:
    """A limit on the size of files cuts writes short as a full disk does."""
    limit = ("bash", "-c", 'ulimit -f 2; exec "$@"', "limit")
    async with daemon("-s", str(file), "--", *ANSWERING, prefix=limit) as one:
        await one.stable()
        assert await one.say("x" * 200) == 200
        await one.until(lambda messages: len(messages) == 3)
        await one.stable()
        assert await one.say("y" * 2000) == 200
        error = await one.event("agent_error")
        assert error["level"] == "warning"
        assert "cannot be saved" in error["message"]
        assert await one.end() == 0
    saved = json.loads(file.read_text())["messages"]
    assert saved[1]["message"] == "x" * 200


async def test_load_and_save_can_be_switched_off(upstreams: Path) -> None:
    before = upstreams.read_bytes()
    words = ("-s", str(upstreams), "--save-state=false", "--load-state=false")
    async with daemon(*words, "--", *ANSWERING) as one:
        await one.stable()
        assert [role for role, _ in await one.messages()] == ["agent"]
        assert await one.end() == 0
    assert upstreams.read_bytes() == before
