"""Our part in a config.toml that others write too."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from agentapi.agents.codex.config.files import ConfigError
from agentapi.agents.codex.config.ledger import Owned, digest
from agentapi.agents.codex.config.merge import HEADER, Inline, leaves, merge, state_of

WANTED: dict[str, Any] = {
    "sandbox_mode": "workspace-write",
    "model": "gpt-5.4",
    "sandbox_workspace_write": {"network_access": True},
    "notice": {"model_migrations": {"gpt-5.1": "gpt-5.4"}},
    "projects": {'/home/me/a "b" | [c]': {"trust_level": "trusted"}},
    "mcp_servers": {"Coder": {"command": "coder", "args": ["exp"], "env": Inline(SLUG="ccw")}},
}

_NAMES = st.sampled_from(
    ["a", "b", '"c d"', "model", "tui", "notice", "projects", "mcp_servers", "Coder", "env"]
)
_VALUES = st.sampled_from(
    [
        '"text"',
        "1",
        "2.5",
        "true",
        "nan",
        "2026-01-02T03:04:05Z",
        "'''\nmany\n# no comment\n'''",
        "[1, 2]",
        "[\n  1, # one\n  2,\n]",
        "[{ a = 1 }, { a = 2 }]",
        "{ x = 1, y.z = 2 }",
        "{}",
    ]
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map(".".join)
_COMMENTS = st.integers(0, 99).map("# remark {}".format)
_ENDS = st.one_of(st.just(""), _COMMENTS.map(" {}".format))
_LINES = st.one_of(
    st.builds("{} = {}{}".format, _PATHS, _VALUES, _ENDS),
    st.builds("[{}]{}".format, _PATHS, _ENDS),
    st.builds("[[{}]]{}".format, _PATHS, _ENDS),
    _COMMENTS,
    st.just(""),
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A valid document in any layout that TOML allows: tables twice opened for their children,
    dotted, inline and arrays of tables, comments anywhere."""
    text = ""
    for line in draw(st.lists(_LINES, max_size=14)):
        longer = f"{text}{line}\n"
        try:
            tomllib.loads(longer)
        except tomllib.TOMLDecodeError:
            continue
        text = longer
    return text


def _merged(text: str) -> tuple[str, Owned]:
    """With our part in it; the rare layouts that are refused (2 of 2,500) are not the subject."""
    try:
        result = merge(text, WANTED, Owned(), source="config.toml")
    except ConfigError as error:
        assert "laid out" in str(error)
        reject()
    return result.text, result.owned


def test_toml_that_the_editor_cannot_read_is_refused_with_what_to_do() -> None:
    """tomlkit 0.15 takes this for a key that is there twice."""
    with pytest.raises(ConfigError, match=r"laid out in a way .* \(Key .*\)\. Keep each table in"):
        merge("[[a.a]]\n[a]\n[a.a.b]\n[[a.a]]\n", WANTED, Owned(), source="config.toml")


@settings(max_examples=120)
@given(documents())
def test_what_the_user_wrote_survives_value_for_value_and_comment_for_comment(text: str) -> None:
    after, owned = _merged(text)
    theirs = {path: value for path, value in leaves(tomllib.loads(text)) if value != {}}
    now = tomllib.loads(after)
    assert {path: digest(value) for path, value in theirs.items()} == {
        path: state_of(now, path) for path in theirs
    }
    assert not owned.keys.keys() & theirs.keys()
    assert _remarks(text) <= _remarks(after)


def _remarks(text: str) -> Counter[str]:
    return Counter(re.findall("# remark [0-9]+", text))


@settings(max_examples=60)
@given(documents())
def test_a_second_run_gives_the_same_bytes(text: str) -> None:
    after, owned = _merged(text)
    again = merge(after, WANTED, owned, source="config.toml")
    assert again.text == after
    assert again.owned == owned


@settings(max_examples=60)
@given(documents())
def test_our_part_leaves_without_a_trace_in_the_values(text: str) -> None:
    after, owned = _merged(text)
    try:
        bare = merge(after, {}, owned, source="config.toml")
    except ConfigError:
        reject()
    assert bare.owned == Owned()
    assert HEADER not in bare.text
    assert digest(tomllib.loads(bare.text)) == digest(tomllib.loads(text))


@settings(max_examples=60)
@given(documents())
def test_without_the_list_the_marks_claim_nothing_of_the_users(text: str) -> None:
    after, owned = _merged(text)
    again = merge(after, WANTED, None, source="config.toml")
    assert again.text == after
    assert again.owned.keys.items() <= owned.keys.items()
    if text.strip() == "":
        assert again.owned.keys == owned.keys


@settings(max_examples=60)
@given(documents())
def test_overwriting_says_all_that_is_wanted(text: str) -> None:
    try:
        after = merge(text, WANTED, Owned(), source="config.toml", overwrite=True)
    except ConfigError:
        reject()
    now = tomllib.loads(after.text)
    assert all(state_of(now, path) == digest(value) for path, value in leaves(WANTED))
    assert after.kept == []


def test_most_layouts_can_be_edited() -> None:
    """The refusal is for oddities; what people and Codex write goes through."""
    for text in LAYOUTS:
        merge(text, WANTED, Owned(), source="config.toml")


LAYOUTS = (
    "",
    "# only a comment",
    "model = 'x'",
    "[tui]\nx = 1\n",
    "[mcp_servers.a]\ncommand = 'a'\n[other]\n[mcp_servers.b]\ncommand = 'b'\n",
    "mcp_servers.a.command = 'a'\n",
    "mcp_servers = { a = { command = 'a' } }\n",
    "[mcp_servers]\n[mcp_servers.a]\ncommand = 'a'\n",
    "projects = { '/x' = { trust_level = 'trusted' } }\r\n[tui]\r\n",
    "[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = 'command'\n",
    "[projects.'/x']\ntrust_level = 'trusted'\n\n[notice]\nhide = true\n",
)


def _run(text: str, wanted: dict[str, Any], owned: Owned | None = None, **more: Any) -> Any:
    return merge(text, wanted, Owned() if owned is None else owned, source="config.toml", **more)


def test_a_value_of_ours_that_the_user_changed_is_theirs() -> None:
    first = _run("", {"model": "a", "effort": "low"})
    edited = first.text.replace('"a"', '"mine"')
    second = _run(edited, {"model": "b", "effort": "high"}, first.owned)
    assert tomllib.loads(second.text) == {"model": "mine", "effort": "high"}
    assert second.kept == [("model",)]
    assert 'model = "mine"\n' in second.text, "the mark goes"
    third = _run(second.text, {"effort": "high"}, second.owned)
    assert tomllib.loads(third.text) == {"model": "mine", "effort": "high"}


def test_a_value_of_ours_that_the_user_deleted_stays_deleted() -> None:
    first = _run("", WANTED)
    edited = "\n".join(line for line in first.text.split("\n") if "trust_level" not in line)
    second = _run(edited, WANTED, first.owned)
    third = _run(second.text, WANTED, second.owned)
    assert "trust_level" not in third.text
    back = _run(third.text, WANTED, third.owned, overwrite=True)
    assert tomllib.loads(back.text) == WANTED


def test_a_server_that_somebody_else_defined_is_not_mixed_with_ours() -> None:
    text = '[mcp_servers.Coder]\nurl = "http://localhost:1"\n'
    result = _run(text, WANTED)
    assert tomllib.loads(result.text)["mcp_servers"] == {"Coder": {"url": "http://localhost:1"}}
    assert result.kept == [("mcp_servers", "Coder")]
    forced = _run(text, WANTED, overwrite=True)
    assert tomllib.loads(forced.text)["mcp_servers"] == WANTED["mcp_servers"], "whole, not mixed"


def test_something_else_under_the_name_of_the_servers_is_not_touched_unasked() -> None:
    text = 'mcp_servers = "text"\n'
    assert tomllib.loads(_run(text, WANTED).text)["mcp_servers"] == "text"
    forced = _run(text, WANTED, overwrite=True)
    assert tomllib.loads(forced.text) == WANTED


def test_a_server_of_ours_that_was_removed_does_not_come_back_in_parts() -> None:
    first = _run("", WANTED)
    removed = first.text.partition("[mcp_servers.Coder]")[0]
    more = {**WANTED, "mcp_servers": {"Coder": {**WANTED["mcp_servers"]["Coder"], "cwd": "/x"}}}
    second = _run(removed, more, first.owned)
    assert "mcp_servers" not in tomllib.loads(second.text)
    assert second.kept == [("mcp_servers", "Coder")]
    third = _run(second.text, more, second.owned)
    assert third.text == second.text
    back = _run(third.text, more, third.owned, overwrite=True)
    assert tomllib.loads(back.text) == more


def test_a_server_that_is_asked_for_again_comes_again() -> None:
    first = _run("", WANTED)
    without = _run(first.text, {"model": "m"}, first.owned)
    assert "mcp_servers" not in tomllib.loads(without.text)
    again = _run(without.text, WANTED, without.owned)
    assert tomllib.loads(again.text) == WANTED


def test_codex_may_rewrite_our_lines_as_long_as_the_values_stay() -> None:
    first = _run("", {"model": "a", "tui": {"x": 1}})
    rewritten = "model='a'\ntui={x=1}\n"
    second = _run(rewritten, {"model": "b", "tui": {"x": 2}}, first.owned)
    assert tomllib.loads(second.text) == {"model": "b", "tui": {"x": 2}}


def test_a_key_that_is_no_longer_wanted_goes_with_its_empty_table_only() -> None:
    text = "[notice]\nhide = true\n"
    first = _run(text, WANTED)
    second = _run(first.text, {}, first.owned)
    assert second.text.strip() == text.strip()


def test_a_comment_in_a_table_of_ours_keeps_the_table() -> None:
    first = _run("", {"tui": {"x": 1}})
    second = _run(first.text + "# a remark\n", {}, first.owned)
    assert "[tui]" in second.text
    assert "# a remark" in second.text


def test_one_and_true_and_the_word_are_three_values() -> None:
    assert len({digest(value) for value in (1, True, 1.0, "1")}) == 4
    first = _run("", {"x": 1})
    second = _run(first.text.replace("1", "true"), {"x": 2}, first.owned)
    assert tomllib.loads(second.text) == {"x": True}


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = \n", "1:5"), ("a = 1\n\n[b\n", "3:3"), ("a = 1\na = 2\n", "2:6"), ('a = "', "1:6")],
)
def test_a_broken_document_is_named_with_line_and_column(text: str, place: str) -> None:
    with pytest.raises(ConfigError, match=rf"^config\.toml:{place}: not valid TOML: "):
        _run(text, WANTED)
