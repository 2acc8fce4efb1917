"""Contract point 23: what the chat page asks for. How it behaves is tested in a browser."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urljoin

import pytest

from agentapi.chat import STATIC
from tests.support.live import serving

ENDPOINTS = {"/events", "/message", "/upload"}
BEYOND = {"/approval"}
"""What it does without on a server that has no such thing: `tests/browser/test_question.py`."""


@pytest.mark.parametrize("prefix", ["", "/@owner/ws.agent/apps/slug"])
@pytest.mark.parametrize("page", ["/chat", "/chat/", "/chat/embed/"])
async def test_contract_point_23_every_asset_resolves_under_any_prefix(
    prefix: str, page: str
) -> None:
    async with serving() as live:
        html = (await live.get(page)).text
        found = re.search(r'<base href="([^"]*)"', html)
        assert found is not None
        base = urljoin(prefix + page, found[1])
        assets = re.findall(r'(?:src|href)="([^"]+)"', html.replace(found[0], ""))
        assert len(assets) > 3
        for asset in assets:
            path = urljoin(base, asset)
            assert path.startswith(f"{prefix}/chat/")
            answer = await live.get(path.removeprefix(prefix))  # a proxy strips the prefix
            assert answer.status == 200, path


def test_contract_point_23_modules_import_what_is_there() -> None:
    for module in STATIC.rglob("*.js"):
        for name in re.findall(r'^(?:import|export) .*?from "([^"]+)"', module.read_text(), re.M):
            target = posixpath.normpath(posixpath.join(module.parent.as_posix(), name))
            assert name.startswith("."), (module, name)
            assert (STATIC / target).is_file(), (module, name)


def test_contract_point_23_the_page_asks_for_known_endpoints_and_no_other_origin() -> None:
    own = [file for file in STATIC.rglob("*.js") if "vendor" not in file.parts]
    text = "\n".join(file.read_text() for file in own)
    used = set(re.findall(r"\$\{\w+\}(/[a-z]+)", text)) | set(re.findall(r'[(,] "(/[a-z]+)"', text))
    assert used
    assert used <= ENDPOINTS | BEYOND
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}
