"""Times go out as RFC 3339 in UTC, and come back as the same moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from agentapi.model.encoding import encode, parse_rfc3339, rfc3339

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-01-02T12:00:00Z", "2026-01-02T14:00:00+02:00", "2026-01-02T12:00:00"]
)
def test_a_time_is_read_as_utc(text: str) -> None:
    assert parse_rfc3339(text) == NOON
    assert parse_rfc3339(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "0001-01-01T00:00:00+05:00"])
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


def test_a_time_goes_out_in_utc() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=2)))
    assert rfc3339(east) == rfc3339(NOON) == "2026-01-02T12:00:00Z"


def test_half_a_surrogate_pair_breaks_no_reply() -> None:
    assert encode({"a": "ü\ud800"}) == '{"a":"ü?"}'.encode()
