"""A value of another type becomes an empty one."""

from __future__ import annotations

import pytest

from agentapi.agents.codex.json_values import as_list, as_object, as_objects, as_text, as_texts

MIXED = ["one", 1, {"a": 1}, None, "two", [], {"b": 2}]


def test_what_is_wanted_comes_as_it_is() -> None:
    assert as_text("words") == "words"
    assert as_object({"a": 1}) == {"a": 1}
    assert as_list(MIXED) is MIXED
    assert as_texts(MIXED) == ["one", "two"]
    assert as_objects(MIXED) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("value", [None, 1, True, b"bytes", ("one",)])
def test_all_else_is_empty(value: object) -> None:
    assert as_text(value) == ""
    assert as_object(value) == {}
    assert [as_list(value), as_texts(value), as_objects(value)] == [[], [], []]


def test_one_type_is_no_other() -> None:
    assert (as_text({}), as_text([])) == ("", "")
    assert (as_object("a"), as_object(MIXED)) == ({}, {})
    assert (as_texts("one"), as_objects({"a": {}})) == ([], [])
