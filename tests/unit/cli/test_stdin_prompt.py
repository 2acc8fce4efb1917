from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentapi.cli.stdin_prompt import read_prompt


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


async def test_a_pipe_is_read_to_its_end(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    task = asyncio.create_task(read_prompt(reader))
    for part in (b"  fix ", b"the t\xc3", b"\xa4st\n", b"\n"):
        os.write(writer, part)
        await asyncio.sleep(0)
    assert not task.done()
    os.close(writer)
    assert await task == "fix the täst"


async def test_much_text_arrives_whole(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    text = "line\n" * 100_000

    def write() -> None:
        with os.fdopen(writer, "w", closefd=False) as stream:
            stream.write(text)
        os.close(writer)

    _, prompt = await asyncio.gather(asyncio.to_thread(write), read_prompt(reader))
    assert prompt == text.strip()


@pytest.mark.parametrize("content", [b"", b" \n\t\n", None])
async def test_blank_is_none(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "prompt"
    file.write_bytes(content or b"")
    descriptor = os.open("/dev/null" if content is None else file, os.O_RDONLY)
    assert await read_prompt(descriptor) is None
    os.close(descriptor)


async def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "prompt"
    file.write_text("from a file\n")
    with file.open() as stream:
        assert await read_prompt(stream.fileno()) == "from a file"


async def test_a_pipe_that_nobody_writes_to_is_no_prompt(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    assert await read_prompt(pipe[0], silence=0.01) is None
    assert "nothing came" in caplog.text


async def test_a_pipe_that_somebody_writes_to_is_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.write(writer, b"slow")
    task = asyncio.create_task(read_prompt(reader, silence=0.01))
    await asyncio.sleep(0.03)
    os.write(writer, b"ly")
    os.close(writer)
    assert await task == "slowly"


async def test_bytes_that_are_no_text_are_an_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.write(writer, b"\xff\xfe")
    os.close(writer)
    with pytest.raises(ValueError, match="utf-8"):
        await read_prompt(reader)
