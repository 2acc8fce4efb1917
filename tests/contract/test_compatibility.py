"""docs/compatibility.md and the tests say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| (\d+) \| .* \| (.*) \|$", (PROJECT / "docs/compatibility.md").read_text(), re.M
)


def test_every_point_has_a_row() -> None:
    assert [int(point) for point, _ in ROWS] == list(range(1, 24))


@pytest.mark.parametrize(("point", "proof"), ROWS)
def test_the_named_tests_are_there_and_name_the_point(point: str, proof: str) -> None:
    paths = [PROJECT / name for name in re.findall(r"`(tests/[^`]*)`", proof)]
    assert paths
    assert all(path.exists() for path in paths)
    text = "".join(path.read_text() for path in paths if path.is_file())
    assert re.search(rf"def test_(contract_)?point_{point}_", text)
