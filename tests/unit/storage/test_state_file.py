from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.files import write_atomically
from agentapi.model.conversation import Message, Role
from agentapi.storage.state import SavedState
from agentapi.storage.state_file import StateStore, parse_state

TIME = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
UPSTREAM = """{
  "version": 1,
  "messages": [
    {"id": 0, "message": "Welcome\\n\\u003cready\\u003e", "role": "agent",
     "time": "2026-03-01T13:30:15.123456789+01:00"},
    {"id": 1, "message": "hello", "role": "user", "time": "2026-03-01T12:30:16Z"}
  ],
  "initial_prompt": "hello",
  "initial_prompt_sent": true
}
"""


def message(number: int, content: str, role: Role = Role.AGENT) -> Message:
    return Message(number, role, content, TIME + timedelta(seconds=number))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def warnings() -> list[str]:
    return []


def saved(file: Path) -> dict[str, object]:
    document = json.loads(file.read_text())
    assert isinstance(document, dict)
    return document


def test_what_upstream_saved_is_loaded(file: Path) -> None:
    file.write_text(UPSTREAM)
    state = StateStore(file).load()
    assert state.messages == (
        Message(0, Role.AGENT, "Welcome\n<ready>", TIME),
        Message(1, Role.USER, "hello", datetime(2026, 3, 1, 12, 30, 16, tzinfo=UTC)),
    )
    assert (state.initial_prompt, state.initial_prompt_sent) == ("hello", True)
    assert state.warnings == ()


def test_what_is_saved_has_upstreams_form(file: Path) -> None:
    state = SavedState((message(0, "é\x1b\ud800"), message(1, "hi", Role.USER)), "hi", True)
    StateStore(file).save(state)
    assert saved(file) == {
        "version": 1,
        "messages": [
            {
                "id": 0,
                "message": "é\x1b\ud800",
                "role": "agent",
                "time": "2026-03-01T12:30:15.123456Z",
            },
            {"id": 1, "message": "hi", "role": "user", "time": "2026-03-01T12:30:16.123456Z"},
        ],
        "initial_prompt": "hi",
        "initial_prompt_sent": True,
    }


def test_upstream_writes_null_for_no_messages() -> None:
    assert parse_state(b'{"version":1,"messages":null}') == SavedState()


def test_nothing_there_is_an_empty_state(file: Path) -> None:
    assert StateStore(file).load().messages == ()
    assert StateStore(file).load().warnings == ()


def test_files_are_private_and_so_are_the_folders_that_are_made(tmp_path: Path) -> None:
    file = tmp_path / "made" / "here" / "state.json"
    StateStore(file).save(SavedState(extra={"queue": []}))
    for path in (file, file.with_name("state.json.extra.json")):
        assert path.stat().st_mode & 0o777 == 0o600
    for folder in (file.parent, file.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "state.json",
        "state.json.extra.json",
    ]


def test_a_growing_message_is_saved_again(file: Path) -> None:
    store = StateStore(file)
    store.save(SavedState((message(0, "a"), message(1, "b"))))
    store.save(SavedState((message(0, "a"), message(1, "b c"))))
    assert [m.content for m in StateStore(file).load().messages] == ["a", "b c"]


def test_a_link_stays_one(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(file)
    StateStore(link).save(SavedState((message(0, "a"),)))
    assert link.is_symlink()
    assert saved(file)["version"] == 1


def test_what_upstream_has_no_place_for_is_beside_it(file: Path) -> None:
    StateStore(file).save(SavedState((message(0, "a"),), extra={"queue": [{"id": "q1"}]}))
    assert set(saved(file)) == {"version", "messages", "initial_prompt", "initial_prompt_sent"}
    store = StateStore(file)
    assert store.load().extra == {"queue": [{"id": "q1"}]}
    store.save(SavedState((message(0, "a"),)))
    assert StateStore(file).load().extra == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe\x00garbage", "not"),
        (b"[]", "not a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"version":2,"messages":[]}', "version is 2"),
        (b'{"messages":[]}', "version is None"),
        (b'{"version":true,"messages":[]}', "version is True"),
        (b'{"version":1,"messages":{}}', "not a list"),
        (b'{"version":1,"messages":[1]}', "message 0 is not an object"),
        (b'{"version":1,"messages":[{"role":"agent"}]}', "no text"),
        (b'{"version":1,"messages":[{"message":"","role":"dog"}]}', "role 'dog'"),
        (b'{"version":1,"messages":[{"message":"","role":["a"]}]}', "role"),
        (b'{"version":1,"messages":[{"message":"","role":"user","time":"now"}]}', "time 'now'"),
        (b'{"version":1,"initial_prompt":5}', "initial_prompt"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_alone(file: Path, content: bytes, reason: str) -> None:
    file.write_bytes(content)
    store = StateStore(file)
    state = store.load()
    assert state.messages == ()
    (warning,) = state.warnings
    assert str(file) in warning
    assert reason in warning
    store.save(SavedState((message(0, "new"),)))
    assert file.read_bytes() == content


def test_the_conversation_goes_on_beside_a_file_that_cannot_be_read(file: Path) -> None:
    file.write_bytes(b"{")
    store = StateStore(file)
    store.load()
    store.save(SavedState((message(0, "one"),)))
    again = StateStore(file)
    state = again.load()
    assert [m.content for m in state.messages] == ["one"]
    assert "continued from" in state.warnings[0]
    again.save(SavedState((*state.messages, message(1, "two"))))
    assert file.read_bytes() == b"{"
    assert len(StateStore(file).load().messages) == 2


def test_a_repaired_file_is_used_again(file: Path) -> None:
    file.write_bytes(b"{")
    store = StateStore(file)
    store.load()
    store.save(SavedState((message(0, "beside"),)))
    file.write_text(UPSTREAM)
    assert len(StateStore(file).load().messages) == 2
    os.utime(file, (2e9, 2e9))
    file.write_bytes(b"{")
    os.utime(file, (2e9, 2e9))
    assert StateStore(file).load().messages == ()  # the recovery is older: not its conversation


def test_with_neither_readable_nothing_is_written(file: Path) -> None:
    recovery = file.with_name("state.json.recovery")
    file.write_bytes(b"{")
    recovery.write_bytes(b"[")
    store = StateStore(file)
    (warning,) = store.load().warnings
    assert "not saved" in warning
    store.save(SavedState((message(0, "new"),)))
    assert (file.read_bytes(), recovery.read_bytes()) == (b"{", b"[")


def test_an_empty_file_holds_nothing_to_lose(file: Path) -> None:
    file.write_bytes(b"\n")
    store = StateStore(file)
    (warning,) = store.load().warnings
    assert "empty" in warning
    store.save(SavedState((message(0, "new"),)))
    assert StateStore(file).load().messages[0].content == "new"


def test_a_folder_in_its_place_is_explained(file: Path) -> None:
    file.mkdir()
    store = StateStore(file)
    (warning,) = store.load().warnings
    assert "not a regular file" in warning
    store.save(SavedState((message(0, "new"),)))
    assert list(file.iterdir()) == []


def test_a_pipe_in_its_place_does_not_hang(file: Path) -> None:
    os.mkfifo(file)
    assert "not a regular file" in StateStore(file).load().warnings[0]


def test_unwritable_is_said_once_and_tried_again(tmp_path: Path, warnings: list[str]) -> None:
    blocker = tmp_path / "folder"
    blocker.write_text("a file where the folder should be")
    store = StateStore(blocker / "state.json", warn=warnings.append)
    store.save(SavedState((message(0, "a"),)))
    store.save(SavedState((message(0, "b"),)))
    assert len(warnings) == 1
    assert "cannot be saved" in warnings[0]
    blocker.unlink()
    store.save(SavedState((message(0, "c"),)))
    assert StateStore(blocker / "state.json").load().messages[0].content == "c"


def test_a_folder_that_vanished_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "state.json"
    store = StateStore(file)
    store.save(SavedState((message(0, "a"),)))
    file.unlink()
    file.parent.rmdir()
    store.save(SavedState((message(0, "b"),)))
    assert StateStore(file).load().messages[0].content == "b"


FULL_DISK = """
import resource, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from agentapi.model.conversation import Message, Role
from agentapi.storage.state import SavedState
from agentapi.storage.state_file import StateStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
warned = []
store = StateStore(Path(sys.argv[1]), warn=warned.append)
old = Message(0, Role.AGENT, "old", datetime.now(UTC))
store.save(SavedState((old,)))
assert not warned
store.save(SavedState((old, Message(1, Role.USER, "x" * 8192, datetime.now(UTC)))))
print(warned)
"""


def test_a_full_disk_keeps_the_old_file_whole(file: Path) -> None:
    """A file size limit truncates a write, like a full disk."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    output = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)], capture_output=True, text=True, check=True
    ).stdout
    assert "File too large" in output
    assert [m.content for m in StateStore(file).load().messages] == ["old"]
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]


SAVING = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from agentapi.model.conversation import Message, Role
from agentapi.storage.state import SavedState
from agentapi.storage.state_file import StateStore
store, messages = StateStore(Path(sys.argv[1])), []
while True:
    messages.append(Message(len(messages), Role.USER, "x" * 5000, datetime.now(UTC)))
    store.save(SavedState(tuple(messages)))
    print(len(messages), flush=True)
"""


@pytest.mark.parametrize("count", [1, 7, 40])
def test_kill_9_at_any_moment_leaves_a_whole_file(file: Path, count: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SAVING, str(file)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        while int(child.stdout.readline()) < count:
            pass
        child.kill()
    state = StateStore(file).load()
    assert state.warnings == ()
    assert len(state.messages) >= count


def test_load_and_save_can_each_be_off(file: Path) -> None:
    file.write_text(UPSTREAM)
    assert StateStore(file, load=False).load().messages == ()
    StateStore(file, save=False).save(SavedState((message(0, "new"),)))
    assert file.read_text() == UPSTREAM


async def test_close_brings_everything_to_the_disk(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    store = StateStore(file)
    store.save(SavedState((message(0, "a"),)))
    assert synced == []  # not while a client waits
    await store.close()
    assert synced == [str(file), str(file.parent)]


def test_an_atomic_write_leaves_no_temporary_file_behind(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "occupied").touch()
    with pytest.raises(OSError, match="directory"):
        write_atomically(target, b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_state_or_an_explained_error(data: bytes) -> None:
    try:
        parse_state(data)
    except ValueError as error:
        assert str(error)


@given(content=st.binary(max_size=60), beside=st.binary(max_size=60))
def test_any_files_are_loaded_or_warned_of_and_never_overwritten(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, beside: bytes
) -> None:
    file = tmp_path_factory.mktemp("state") / "state.json"
    recovery = file.with_name("state.json.recovery")
    file.write_bytes(content)
    recovery.write_bytes(beside)
    store = StateStore(file)
    assert store.load().warnings
    store.save(SavedState((message(0, "new"),)))
    assert file.read_bytes() == content or not content.strip()
    assert recovery.read_bytes() == beside or not beside.strip()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "message": st.text(max_size=20) | JSON,
        "role": st.sampled_from(["user", "agent"]) | JSON,
        "time": st.datetimes().map(lambda time: time.isoformat()) | st.text(max_size=20) | JSON,
    },
)


@given(
    document=st.fixed_dictionaries(
        {"version": st.just(1) | JSON},
        optional={
            "messages": st.lists(MESSAGE, max_size=3) | JSON,
            "initial_prompt": st.text(max_size=20) | JSON,
            "initial_prompt_sent": st.booleans() | JSON,
        },
    )
)
def test_any_json_of_the_right_outline_is_a_state_or_an_explained_error(
    document: dict[str, object],
) -> None:
    try:
        state = parse_state(json.dumps(document).encode())
    except ValueError as error:
        assert str(error)
    else:
        for one in state.messages:
            one.content.encode()  # what a client can be sent


@given(
    contents=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5),
    prompt=st.text(st.characters(exclude_categories=["Cs"])),
    sent=st.booleans(),
)
def test_what_was_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory, contents: list[str], prompt: str, sent: bool
) -> None:
    file = tmp_path_factory.mktemp("state") / "state.json"
    state = SavedState(
        tuple(message(number, text) for number, text in enumerate(contents)), prompt, sent
    )
    StateStore(file).save(state)
    restored = StateStore(file).load()
    assert restored.messages == state.messages
    assert (restored.initial_prompt, restored.initial_prompt_sent) == (prompt, sent)


# -- setting aside ---------------------------------------------------------------------------------


def test_what_is_set_aside_stays_when_the_file_is_written_anew(file: Path) -> None:
    store = StateStore(file)
    assert store.set_aside() is None
    store.save(SavedState((message(0, "old"),), extra={"queue": 1}))
    aside = store.set_aside()
    assert aside is not None
    assert aside.parent == file.parent
    assert store.set_aside() == aside  # once is enough
    store.save(SavedState((message(0, "new"),), extra={}))
    again = store.set_aside()
    assert again not in (None, aside)
    assert [m.content for m in parse_state(aside.read_bytes()).messages] == ["old"]
    assert saved(aside.with_name(aside.name + ".extra.json"))["queue"] == 1
    assert oct(aside.stat().st_mode & 0o777) == "0o600"


def test_without_links_a_copy_is_set_aside(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store = StateStore(file)
    store.save(SavedState((message(0, "old"),)))
    aside = store.set_aside()
    assert aside is not None
    assert aside.read_bytes() == file.read_bytes()
