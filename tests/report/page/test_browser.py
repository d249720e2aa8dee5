"""The report as a browser shows it: headless Chromium on the file, with everything that asks for an address refused."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lzc_flows.report.curves import Curves
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.page.document import MOST_BYTES, write_html

from .conftest import HOSTILE

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")

READY = "body[data-ready]"
KEYS = "[...document.querySelectorAll('#table tbody th')].map((cell) => cell.innerText)"
FOCUS = "[document.activeElement.tagName, document.activeElement.innerText.trim()]"

CONTRASTS = """() => {
    const channels = (text) => text.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b]
        .map((one) => one / 255)
        .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
        .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
    const ground = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const found = channels(getComputedStyle(one).backgroundColor);
            if (found.length === 3 || found[3] > 0) return found;
        }
        return [255, 255, 255];
    };
    const texts = [...document.querySelectorAll("body *")].filter((element) =>
        !element.closest(".chart, script") && element.offsetParent !== null && !element.disabled &&
        [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim())
    );
    return texts.map((element) => {
        const [light, dark] = [ground(element), channels(getComputedStyle(element).color)]
            .map(luminance).sort((one, other) => other - one);
        return [(light + 0.05) / (dark + 0.05), element.textContent.trim().slice(0, 40)];
    }).sort((one, other) => one[0] - other[0])[0];
}"""
"""The lowest contrast of a text with what it stands on, and the text."""


@pytest.fixture(scope="module")
def browser():
    # software WebGL, because machines of tests have no display; root has no sandbox
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(content: ReportContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(content, path)
    return path


@pytest.fixture
def show(browser) -> Iterator[Callable]:
    """Open a file; errors that the console shows and requests to anything else fail the test."""
    errors: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_file(path: Path, **options):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector(READY, state="attached")
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert errors == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
    assert sum(url.startswith("file:") for url in asked) == len(contexts)


def test_figures_are_drawn_and_their_words_follow(show: Callable, report: Path, content: ReportContent) -> None:
    page = show(report)
    page.wait_for_selector("#heatmap[data-drawn='performance_cost'] .main-svg", state="attached")
    page.select_option("#criterion", "barrier_3d")
    page.wait_for_selector("#heatmap[data-drawn='barrier_3d']")
    assert "30 of 31 candidates have a 3D BVSE barrier (eV)" in page.get_attribute("#heatmap", "aria-label")
    page.click("#missing summary")
    reasons = page.inner_text("#missing-reasons")
    assert "1 cell: relax failed: the forces exploded" in reasons
    assert "nothing percolates" in reasons
    hatched = "document.getElementById('heatmap').data.find((trace) => trace.type === 'bar').x.length"
    assert page.evaluate(hatched) == 2
    numbers = page.evaluate("document.getElementById('heatmap').data[1].z.flat().filter((value) => value !== null)")
    shown = content.table.rows.loc[content.table.rows["cation"] != "pristine", "barrier_3d"]
    drawn = {f"{value:.3g}" for value in numbers}
    assert {f"{value:.3g}" for value in shown if math.isfinite(value)} <= drawn
    assert page.locator(".plot[data-drawn]").count() == page.locator(".plot").count() == 6
    assert page.locator("#pareto .scatterlayer .trace").count() == 2


def test_the_table_sorts_and_filters_by_keyboard(show: Callable, report: Path) -> None:
    page = show(report)
    page.focus("button.sort[data-column='cost_usd_per_kg']")
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    upwards = page.evaluate(KEYS)
    assert page.get_attribute("th:has(button.sort[data-column='cost_usd_per_kg'])", "aria-sort") == "ascending"
    assert page.locator("th[aria-sort]").count() == 1
    page.keyboard.press("Space")
    assert page.evaluate(KEYS) == upwards[::-1]
    page.focus("#filter-words")
    page.keyboard.type("Ti ti3+-1")
    page.wait_for_selector("#table-status:has-text('1 of 31 candidates')")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == ["SUMMARY", "Limits of numbers"]
    page.keyboard.press("Enter")
    page.focus("input[data-column='rank_performance'][data-limit='high']")
    page.keyboard.type("5")
    limited = page.evaluate(KEYS)
    page.evaluate("document.getElementById('filter').requestSubmit()")
    assert page.evaluate(KEYS) == limited
    page.focus("#filter button[type=reset]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#table-status:has-text('31 of 31 candidates')")
    assert len(page.evaluate(KEYS)) == 31


def test_what_is_missing_comes_last_whichever_way(show: Callable, report: Path) -> None:
    page = show(report)
    for _ in range(2):
        page.click("button.sort[data-column='barrier_1d']")
        assert page.evaluate(KEYS)[-1] == "Mg2+-0"
    assert page.evaluate(KEYS)[0] == "Zn2+-0"  # the infinite one
    last = "document.querySelector('#table tbody tr:last-child td:last-child').innerText"
    assert page.evaluate(last).startswith("1D BVSE barrier: relax failed: the forces exploded; 3D")


def test_a_candidate_opens_with_crystal_and_curves(show: Callable, report: Path) -> None:
    page = show(report)
    page.locator("details.candidate summary").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#candidate-0[data-drawn='1'] .crystal canvas", state="attached")
    page.wait_for_selector("#candidate-0 .curves .main-svg", state="attached")
    drawn = "() => document.querySelector('.crystal canvas').width > 100"
    assert page.evaluate(drawn)
    assert len(page.locator("#candidate-0 .crystal").screenshot()) > 8_000  # an empty picture has 2,000 bytes
    page.select_option("#candidate-0 .crystal-choice", "1")
    page.click("#candidate-0 > summary")
    page.wait_for_selector("#candidate-0 .crystal canvas", state="detached")
    page.locator("#table button.link").first.click()
    page.wait_for_selector("#candidate-0 .crystal canvas", state="attached")
    assert page.evaluate("document.activeElement.closest('details').id") == "candidate-0"


def test_many_lines_take_the_whole_width_and_have_their_names_below_where_it_is_narrow(
    show: Callable, content: ReportContent, tmp_path: Path
) -> None:
    first = content.details[0]
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"a hop with a long name, number {number}",
            "x": [0, 1],
            "y": [0, 1],
        }
        | {"line": {"color": "#000000"}}
        for number in range(12)
    ]
    many = Curves("cineb", "Energy along the hops", "", lines, first.curves[0].layout)
    path = tmp_path / "many.html"
    write_html(replace(content, details=(replace(first, curves=(*first.curves, many)),)), path)
    page = show(path, color_scheme="dark")
    page.click("#candidate-0 > summary")
    page.wait_for_selector("#candidate-0 .wide .legend", state="attached")
    width = "(name) => document.querySelector(`#candidate-0 .curves ${name}`).getBoundingClientRect().width"
    assert page.evaluate(width, "figure.wide") > 1.8 * page.evaluate(width, "figure:not(.wide)")
    drawn = "getComputedStyle(document.querySelector('.wide .js-line')).stroke"
    assert page.evaluate(drawn) == page.evaluate("getComputedStyle(document.body).color") != "rgb(0, 0, 0)"
    page.click("#candidate-0 > summary")
    page.set_viewport_size({"width": 420, "height": 900})
    page.click("#candidate-0 > summary")
    page.wait_for_selector("#candidate-0 .wide .legend", state="attached")
    edges = (
        "() => ['.xtitle', '.legend'].map((name) => document.querySelector(`.wide ${name}`).getBoundingClientRect())"
    )
    title, legend = page.evaluate(edges)
    assert title["bottom"] <= legend["top"] + 1


def test_every_text_can_be_read_by_day_and_by_night(show: Callable, report: Path) -> None:
    page = show(report, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details:not(.candidate)').forEach((one) => { one.open = true; })")
    for scheme, ground in (("light", "rgb(246, 246, 249)"), ("dark", "rgb(19, 18, 24)")):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
        ratio, text = page.evaluate(CONTRASTS)
        assert ratio >= 4.5, f"{scheme}: {text}"
    moving = "document.getAnimations().filter((one) => one.effect.getComputedTiming().duration > 0).length"
    assert page.evaluate(moving) == 0


def test_keyboard_and_narrow_windows(show: Callable, report: Path) -> None:
    page = show(report)
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == ["A", "Skip to the content"]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.set_viewport_size({"width": 420, "height": 900})
    wide = "document.documentElement.scrollWidth"
    for _ in range(100):
        if page.evaluate(wide) <= 420:  # figures are drawn again in their own time
            break
        page.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert page.evaluate(wide) <= 420


def test_hostile_texts_run_nowhere(show: Callable, hostile: ReportContent, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    write_html(hostile, path)
    page = show(path)
    assert HOSTILE in page.text_content("h1")
    page.locator("details.candidate summary").first.click()
    page.wait_for_selector("#candidate-0[data-drawn='1'] .main-svg", state="attached")
    assert HOSTILE in page.text_content("#provenance")
    assert page.evaluate("window.ran") is None
    assert page.locator("img").count() == 0


def test_ten_thousand_candidates(show: Callable, make_content: Callable, tmp_path: Path) -> None:
    path = tmp_path / "many.html"
    content = make_content(columns=667, details=12)
    assert len(content.table.rows) > 10_000
    assert write_html(content, path) <= MOST_BYTES
    page = show(path)
    page.wait_for_selector("#table[data-drawn='50']")
    assert page.locator("#table tbody tr").count() == 50
    page.click("#pages button[data-to='last']")
    assert page.inner_text("#page-number") == "Page 201 of 201"
    assert page.evaluate("document.activeElement.disabled") is False
    page.click("button.sort[data-column='cost_usd_per_kg']")
    costs = "[...document.querySelectorAll('#table tbody tr')].map((row) => Number(row.cells[{}].innerText))"
    column = page.evaluate("[...document.querySelectorAll('#table thead th')].findIndex((th) => th.ariaSort)")
    shown = page.evaluate(costs.format(column))
    assert shown == sorted(shown)
    page.fill("#filter-words", "Ti 66")
    page.wait_for_selector("#table:not([data-drawn='50'])")
    assert all(key.startswith("Ti3+-") for key in page.evaluate(KEYS))
