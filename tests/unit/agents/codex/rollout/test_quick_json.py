"""The quick reader gives json's values, and refuses what json refuses."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.codex.rollout.quick_json import loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**60), 10**60)
    | st.floats()
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
ODD = [
    "18446744073709551616", "-9223372036854775809", "-0", "-0.0", "1e999", "-1e999", "5e-324",
    "123456789012345678901234567890.5", "1E5", "NaN", "-Infinity", '"\\ud800"', '"\\udc00x"',
    '"\\ud83d\\ude00"', '"\\u0000"', '"\x7f"', ' 1 \t', '{"a":1,"a":2}', '{"a":{"b":1},"a":[]}',
]  # fmt: skip
REFUSED = [
    "", " ", "01", "[1,]", '{"a":1,}', "1 2", "'a'", '"a\x01"', '"a', "\ufeff1", "\xa01", "nul",
    "+1", ".5", "1.", "0x1", '"\\x41"', "1" * 5000, '{"a"}', "{1:2}",
]  # fmt: skip


def exact(value: object) -> str:
    """Tells apart what `==` does not: 1 and 1.0 and true, 0.0 and -0.0, orders of members; and
    finds NaN equal to itself."""
    return repr(value)


@given(VALUES, st.booleans())
def test_a_value_is_json_s_to_the_last_bit(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert exact(loads(text)) == exact(json.loads(text))
    data = text.encode("utf-8", "surrogatepass")
    assert exact(loads(data)) == exact(json.loads(data.decode("utf-8", "replace")))


@given(VALUES, st.integers(0, 200), st.sampled_from(b' 019eE+-.,:[]{}"\\utn\x00\x1f\xff\xc3\x80'))
def test_a_damaged_text_is_taken_or_refused_as_json_does(
    value: object, position: int, byte: int
) -> None:
    data = bytearray(json.dumps(value).encode())
    data[position % len(data)] = byte
    try:
        wanted = exact(json.loads(data.decode("utf-8", "replace")))
    except ValueError as error:
        with pytest.raises(ValueError) as refused:
            loads(bytes(data))
        assert str(refused.value) == str(error)
    else:
        assert exact(loads(bytes(data))) == wanted


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_are_taken(text: str) -> None:
    assert exact(loads(text)) == exact(loads(text.encode())) == exact(json.loads(text))


@pytest.mark.parametrize("text", REFUSED)
def test_others_are_refused(text: str) -> None:
    for given_as in (text, text.encode()):
        with pytest.raises(ValueError):
            loads(given_as)


@pytest.mark.parametrize("data", [b'"a\xffb"', b'"\xed\xa0\x80"', b'"\xc3"', b'{"\xfe":1}'])
def test_bytes_that_are_no_utf8_become_replacement_characters(data: bytes) -> None:
    assert loads(data) == json.loads(data.decode("utf-8", "replace"))


def test_what_is_nested_too_deeply_is_refused() -> None:
    depth = 100_000
    with pytest.raises(RecursionError):
        loads("[" * depth + "]" * depth)


def test_nan_is_taken_as_json_does() -> None:
    assert math.isnan(loads(b"NaN"))
