"""Reading what Codex says of a configuration."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from agentapi.agents.codex.config.check import (
    CodexProgram,
    Fault,
    check_files,
    check_home,
    find_codex,
)

HOME = "/home/me/.codex"


def _stand_in(folder: Path, script: str) -> CodexProgram:
    """A program that answers as Codex does, for answers that no installed version gives."""
    program = folder / "codex"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return CodexProgram(str(program), "1.0.0", "file")


def _refusal(detail: str, line: int = 1) -> str:
    data = {"filePath": "HERE/config.toml", "line": line, "column": 2, "detail": detail}
    said = json.dumps({"error": {"data": data}})
    return f"""sed "s|HERE|$PWD|g" <<'END'\n{said}\nEND\nexit 1"""


def test_a_fault_names_the_real_file_and_no_secret(tmp_path: Path) -> None:
    codex = _stand_in(tmp_path, _refusal('HERE/config.toml:1:2: invalid type: string "s3cret!"'))
    text = '[mcp_servers.a.env]\nTOKEN = "s3cret!"\n'
    home = tmp_path / "home"
    assert check_files(codex, home, {"config.toml": text}) == [
        Fault('invalid type: string "…"', f"{home}/config.toml", 1, 2)
    ]
    assert not home.exists(), "a check makes nothing"


def test_a_home_behind_a_link_is_named_as_the_user_knows_it(tmp_path: Path) -> None:
    codex = _stand_in(tmp_path, _refusal("HERE/config.toml:1:2: no"))
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    assert check_files(codex, link, {"config.toml": ""})[0].file == f"{link}/config.toml"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (
            "Error: HERE/config.toml:1:19: unknown variant `bogus`\n\nCaused by:\n    deeper",
            Fault("unknown variant `bogus`", f"{HOME}/config.toml", 1, 19),
        ),
        (
            "Error: failed to load\n\nCaused by:\n    0: HERE/config.toml:3:1: bad\n    1: bad\n",
            Fault("bad", f"{HOME}/config.toml", 3, 1),
        ),
        ("Error: Model provider `x` not found", Fault("Model provider `x` not found")),
        (
            "Error: unknown variant `bogus`\nin `approval_policy`\n\nStack backtrace:\n  0: x",
            Fault("unknown variant `bogus` in `approval_policy`"),
        ),
        ("", Fault("Codex gave no reason")),
    ],
)
def test_an_older_codex_says_it_in_words(tmp_path: Path, said: str, fault: Fault) -> None:
    (tmp_path / "said").write_text(said)
    codex = _stand_in(tmp_path, f'sed "s|HERE|$PWD|g" "{tmp_path}/said" >&2; exit 1')
    home = tmp_path / "home"
    (found,) = check_files(codex, home, {"config.toml": ""})
    assert str(found) == str(fault).replace(HOME, str(home))


def test_the_other_files_of_the_home_are_within_reach(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "prompts").mkdir(parents=True)
    (home / "prompts" / "a.md").write_text("x")
    (home / "auth.json").write_text("{}")
    (home / "config.toml").write_text("on disk")
    script = "cat prompts/a.md config.toml; test -e auth.json && exit 3; exit 0"
    codex = _stand_in(tmp_path, f"({script}) >>'{tmp_path}/seen' || exit 1")
    assert check_files(codex, home, {"config.toml": "staged"}) == []
    assert (tmp_path / "seen").read_text().startswith("xstaged")
    assert sorted(path.name for path in home.iterdir()) == ["auth.json", "config.toml", "prompts"]


def test_what_stands_in_a_home_is_checked_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text("on disk")
    codex = _stand_in(tmp_path, f"cat config.toml >'{tmp_path}/seen'")
    assert check_home(codex, home) == []
    assert (tmp_path / "seen").read_text() == "on disk"


def test_a_home_that_cannot_be_written_is_checked_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(folder: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("agentapi.agents.codex.config.check.make_folder", read_only)
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text("")
    codex = _stand_in(tmp_path, _refusal("HERE/config.toml:1:2: no"))
    assert check_home(codex, home) == [Fault("no", f"{home}/config.toml", 1, 2)]


def test_a_codex_that_does_not_answer_condemns_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentapi.agents.codex.probe.TIMEOUT", 0.05)
    codex = _stand_in(tmp_path, "exec sleep 60")
    (fault,) = check_files(codex, tmp_path / "home", {"config.toml": ""})
    assert not fault.fatal
    assert "not checked" in fault.detail


def test_a_program_that_is_missing_or_fails_is_no_codex(tmp_path: Path) -> None:
    assert find_codex(str(tmp_path / "missing")) is None
    assert find_codex(_stand_in(tmp_path, "exit 1").path) is None


@pytest.mark.parametrize(
    ("helped", "form"), [("Layer $CODEX_HOME/<name>.config.toml on top", "file"), ("", "table")]
)
def test_the_form_of_profiles_is_read_from_the_help(tmp_path: Path, helped: str, form: str) -> None:
    script = f"""case $1 in --version) echo codex-cli 9.8.7;; *) echo '{helped}';; esac"""
    program = find_codex(_stand_in(tmp_path, script).path)
    assert program is not None
    assert (program.version, program.profile_form) == ("9.8.7", form)
