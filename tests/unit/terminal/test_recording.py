from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentapi.terminal import Emulator
from agentapi.terminal.recording import (
    RESET,
    RESTART_MARKER,
    RecordedEvent,
    Recorder,
    Tape,
    read_recording,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def recorder(path: Path, clock: Clock | None = None) -> Recorder:
    def fail(message: str) -> None:
        raise AssertionError(message)

    return Recorder(path, 80, 24, on_error=fail, clock=clock or Clock())


def test_a_recording_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "session.cast"
    path.write_text("an older one")
    path.chmod(0o644)
    tape = Tape(path)
    for _ in range(2):
        recorder = tape.run(80, 24, pytest.fail)
        assert recorder is not None
        recorder.close()
        assert path.stat().st_mode & 0o777 == 0o600
    assert "an older one" not in path.read_text()
    assert path.read_text().count('"version": 2') == 1


def test_round_trip(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.cast", Clock()
    recording = recorder(path, clock)
    recording.output("漢字\x1b[31m\r\n".encode())
    clock.now += 1.5
    recording.resize(100, 30)
    recording.output(b"after")
    recording.close()
    recording.close()
    read = read_recording(path)
    assert (read.columns, read.rows) == (80, 24)
    assert json.loads(path.read_text().split("\n")[0])["env"] == {"TERM": "xterm-256color"}
    assert read.events == (
        RecordedEvent(0, "o", "漢字\x1b[31m\r\n"),
        RecordedEvent(1.5, "r", "100x30"),
        RecordedEvent(1.5, "o", "after"),
    )
    assert read.output() == "漢字\x1b[31m\r\nafter".encode()
    assert list(read.segments()) == [
        ("漢字\x1b[31m\r\n".encode(), (100, 30)),
        (b"after", None),
    ]


def test_a_character_cut_by_a_read_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    recording = recorder(path)
    data = "a漢🇩🇪".encode()
    for index in range(len(data)):
        recording.output(data[index : index + 1])
    recording.close()
    read = read_recording(path)
    assert read.output() == data
    assert [event.data for event in read.events] == ["a", "漢", "🇩", "🇪"]


def test_an_unfinished_character_at_the_end_shows_as_one(tmp_path: Path) -> None:
    recording = recorder(tmp_path / "a.cast")
    recording.output(b"a\xe6\xbc")
    recording.close()
    assert read_recording(tmp_path / "a.cast").output().decode() == "a\ufffd"


def test_each_event_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    recording = recorder(path)
    recording.output(b"one")
    assert json.loads(path.read_text().splitlines()[-1])[2] == "one"
    recording.close()


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_write_error_ends_it_with_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    warnings: list[str] = []
    with full_disk(400):
        recording = Recorder(path, 80, 24, on_error=warnings.append)
        for _ in range(50):
            recording.output(b"some output that fills the file\r\n")
        recording.resize(10, 10)
        recording.close()
    assert len(warnings) == 1
    assert str(path) in warnings[0]
    assert "File too large" in warnings[0]
    assert read_recording(path).events, "what was written before is readable"


def test_runs_of_one_tape_follow_each_other_on_one_time_line(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.cast", Clock()
    path.write_text("of an earlier recording\n")
    tape = Tape(path, clock)
    assert Tape.of(tape) is tape
    for seconds, text, columns in ((1, b"one", 80), (2, b"two", 90)):
        run = tape.run(columns, 24, on_error=pytest.fail)
        assert run is not None
        clock.now += seconds
        run.output(text)
        run.close()
        clock.now += 10
    read = read_recording(path)
    assert (read.columns, read.rows) == (80, 24)
    assert read.events == (
        RecordedEvent(1, "o", "one"),
        RecordedEvent(11, "m", RESTART_MARKER),
        RecordedEvent(11, "r", "90x24"),
        RecordedEvent(11, "o", RESET),
        RecordedEvent(13, "o", "two"),
    )


def test_a_second_run_begins_on_a_cleared_terminal(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "a.cast")
    for text in (b"\x1b[?1049h\x1b[31mold\x1b[5;9r\x1b[?25l", b"new"):
        run = tape.run(80, 24, on_error=pytest.fail)
        assert run is not None
        run.output(text)
        run.close()
    emulator = Emulator(80, 24)
    emulator.feed(read_recording(tmp_path / "a.cast").output())
    assert "\n".join(emulator.screen_lines()).strip() == "new"


def test_a_run_after_the_file_was_removed_begins_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    tape = Tape(path)
    for text in (b"one", b"two"):
        run = tape.run(80, 24, on_error=pytest.fail)
        assert run is not None
        run.output(text)
        run.close()
        if text == b"one":
            path.unlink()
    assert read_recording(path).output() == b"two"


def test_a_tape_that_could_not_be_written_to_its_end_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    warnings: list[str] = []
    tape = Tape(path)
    with full_disk(400):
        run = tape.run(80, 24, on_error=warnings.append)
        assert run is not None
        for _ in range(50):
            run.output(b"some output that fills the file\r\n")
        run.close()
    written = path.read_bytes()
    assert len(warnings) == 1
    assert tape.run(80, 24, on_error=warnings.append) is None
    assert path.read_bytes() == written


def test_it_cannot_begin_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        recorder(tmp_path / "missing" / "a.cast")


HEADER = '{"version": 2, "width": 80, "height": 24}\n'


def test_a_cut_off_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    whole = HEADER + '[0.1, "o", "one"]\n[0.2, "o", "漢"]\n'
    for end in range(len(HEADER), len(whole)):
        path.write_bytes(whole.encode()[:end])
        events = read_recording(path).events
        assert [event.data for event in events] in ([], ["one"], ["one", "漢"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: not an asciicast v2 header"),
        ("[]\n", ":1: not an asciicast v2 header"),
        ('{"version": 3}\n', "only 2 is known"),
        ('{"version": 2, "width": 0, "height": 24}\n', "must be positive"),
        ('{"version": 2, "width": "80", "height": 24}\n', "must be positive"),
        (HEADER + 'nonsense\n[1, "o", ""]\n', ":2: not an asciicast event"),
        (HEADER + '[1, "o"]\n[1, "o", ""]\n', ":2: .*expected .seconds, kind, text"),
        (HEADER + '[1, "r", "80"]\n[1, "o", ""]\n', ":2: .*COLUMNSxROWS"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.cast"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_recording(path)
