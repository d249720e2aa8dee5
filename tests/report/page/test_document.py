from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lzc_flows.errors import InputError
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.page.document import report_html, write_html

from .conftest import HOSTILE


class Tags(HTMLParser):
    """All elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


@pytest.fixture(scope="module")
def page(content: ReportContent) -> str:
    return report_html(content)


def test_the_page_holds_all_that_it_needs(page: str) -> None:
    tags = Tags(page)
    addresses = [
        value
        for _, attributes in tags.found
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert all(address.startswith(("#", "data:")) for address in addresses if address)
    assert "url(" not in re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert len(page.encode()) < 6_500_000


def test_the_page_is_built_for_everyone(page: str) -> None:
    tags = Tags(page)
    assert tags.all("html") == [{"lang": "en"}]
    assert len(tags.all("h1")) == len(tags.all("main")) == len(tags.all("header")) == len(tags.all("footer")) == 1
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name, attributes in tags.found:
        if name == "section":
            assert attributes["aria-labelledby"] in ids
        if name == "nav" or attributes.get("role") == "img":
            assert attributes.get("aria-label")
        if name == "th":
            assert attributes.get("scope") in ("row", "col")
        if name == "a":
            assert (attributes["href"] or "")[1:] in ids
    assert all("alt" in attributes for attributes in tags.all("img"))


def test_the_same_content_gives_the_same_text(page: str, content: ReportContent) -> None:
    assert report_html(content) == page


def test_texts_are_texts(hostile: ReportContent) -> None:
    page = report_html(hostile)
    assert HOSTILE not in page
    assert html.escape(HOSTILE, quote=False)[:30] in page
    tags = Tags(page)
    assert tags.all("img") == []
    assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)
    scripts = tags.all("script")
    assert len(scripts) == 4 + 1 + 1  # ours, the data and one candidate's
    assert "49" not in re.search(r"<title>(.*?)</title>", page, re.S)[1]


def test_a_campaign_without_results(content: ReportContent) -> None:
    bare = ReportContent(table=content.table, spec=content.spec, versions={"lzc-flows": "0"})
    page = report_html(bare)
    assert "has computed no conductivity" in page
    assert 'id="best"' not in page


def test_a_place_that_cannot_be_written_is_refused(content: ReportContent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file that can be written is allowed"):
        write_html(content, tmp_path / "file" / "report.html")
    size = write_html(content, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").stat().st_size == size
