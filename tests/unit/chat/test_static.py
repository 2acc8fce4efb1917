from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path

import pytest

from agentapi.chat import CONTENT_TYPES, STATIC, page

VENDOR = STATIC / "vendor"
ROW = re.compile(
    r"^\| `(?P<file>\S+)` \| \S+ \| [\d.]+ \| .*`(?P<licence>\S+LICENSE)` "
    r"\| `(?P<sum>[0-9a-f]{64})` "
)


def _vendored() -> dict[str, re.Match[str]]:
    lines = (VENDOR / "README.md").read_text(encoding="utf-8").splitlines()
    return {row["file"]: row for line in lines if (row := ROW.match(line))}


def _modules() -> list[Path]:
    return sorted(STATIC.rglob("*.js"))


def test_every_vendored_file_is_the_one_that_its_readme_names() -> None:
    rows = _vendored()
    assert set(rows) == {path.name for path in VENDOR.glob("*.js")}
    for name, row in rows.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == row["sum"], name
        assert (VENDOR / row["licence"]).stat().st_size > 500


@pytest.mark.parametrize("module", _modules(), ids=lambda path: str(path.relative_to(STATIC)))
def test_modules_import_only_files_that_are_there(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    imports = re.findall(
        r"""^(?:import|export)\b[^"'`;]*?\bfrom\s*["']([^"']+)["']""", source, re.M
    )
    imports += re.findall(r"""\bimport\(["']([^"']+)["']\)""", source)
    for name in imports:
        assert name.startswith("."), f"{name}: no import map, so every import is relative"
        assert (module.parent / name).resolve().is_file(), name


def test_every_served_file_has_a_type() -> None:
    suffixes = {path.suffix for path in STATIC.rglob("*") if path.is_file()}
    assert suffixes <= {*CONTENT_TYPES, ".LICENSE", ".md"}


def test_the_page_names_files_that_are_there() -> None:
    urls = re.findall(r'(?:src|href)="([^"]+)"', page("./"))
    assert urls.pop(0) == "./"
    assert urls
    for url in urls:
        assert (STATIC / url).is_file(), url


def test_the_page_preloads_every_module_but_those_for_markdown() -> None:
    """Else each level of imports costs a round trip."""
    preloaded = set(re.findall(r'rel="modulepreload" href="([^"]+)"', page("./")))
    all_modules = {str(path.relative_to(STATIC)) for path in _modules()}
    assert all_modules - preloaded == {"main.js", "vendor/marked.js", "vendor/dompurify.js"}


def test_the_base_is_escaped_and_must_be_a_folder() -> None:
    assert '<base href="a&quot;&gt;&lt;b/">' in page('a"><b/')
    with pytest.raises(ValueError, match="'chat'"):
        page("chat")


def test_the_html_has_no_inline_script_or_style() -> None:
    html = page("../")
    assert '<base href="../">' in html
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html) == []
    assert re.findall(r'(?:src|href)="(?:/|\w+:)', html) == []


def test_the_agents_titles_are_told_in_the_page() -> None:
    text = page("./", (("x", 'A "quoted" <agent>'),))
    found = re.search(r'<meta name="agents" content="([^"]*)">', text)
    assert found is not None
    assert json.loads(html.unescape(found[1])) == {"x": 'A "quoted" <agent>'}
