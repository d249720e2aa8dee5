"""The page as a browser shows it: headless Chromium on the real server."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import uvicorn

from lzc_flows.database.stores import connect
from lzc_flows.web.app import create_app
from lzc_flows.web.live import Live
from lzc_flows.web.serve import take_port, url_of
from lzc_flows.web.source import Source

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def url(site) -> Iterator[str]:
    """The address of the page, served by a thread."""
    with take_port("127.0.0.1", 0) as listener:
        app = create_app(Live(Source(connect()), fresh_s=0.1), ["127.0.0.1"], poll_s=0.2)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield url_of(listener, "127.0.0.1").rstrip("/")
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser():
    """A browser whose pages share what they have loaded."""
    # software WebGL, because machines of tests have no display; root has no sandbox
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--enable-unsafe-swiftshader"]
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium.new_context()
        chromium.close()


@pytest.fixture
def page(browser):
    """A page of the browser; an error that its console shows fails the test."""
    page = browser.new_page()
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    page.close()
    assert errors == []


def test_the_structure_is_drawn_and_curves_with_it(page, url: str, site) -> None:
    page.goto(f"{url}/campaign/tiny/candidate/{site.key('undoped')}")
    page.wait_for_selector("#structure[data-drawn] canvas", state="attached")
    page.wait_for_selector("#curves[data-drawn='1'] .main-svg", state="attached")
    # WebGL has drawn something that is not the background
    drawn = """() => {
        const canvas = document.querySelector("#structure canvas");
        const gl = canvas.getContext("webgl", {preserveDrawingBuffer: true}) || canvas.getContext("webgl2");
        return gl !== null && canvas.width > 100;
    }"""
    assert page.evaluate(drawn)
    shot = page.locator("#structure").screenshot()
    assert len(shot) > 8_000  # an empty picture has 2,000 bytes
    assert "no-such-uuid" not in page.content()


def test_sorting_and_filtering_without_a_reload(page, url: str, site) -> None:
    page.goto(f"{url}/campaign/tiny")
    page.wait_for_selector("#table tbody tr")
    page.evaluate("window.stays = true")
    keys = "[...document.querySelectorAll('#table tbody th')].map((cell) => cell.innerText)"
    page.click("#table thead a:has-text('cost ($/kg)')")
    page.wait_for_selector("#table th[aria-sort='ascending'] a:has-text('cost')")
    upwards = page.evaluate(keys)
    page.click("#table thead a:has-text('cost ($/kg)')")
    page.wait_for_selector("#table th[aria-sort='descending'] a:has-text('cost')")
    assert page.evaluate(keys) == upwards[::-1]
    assert "sort=-cost_usd_per_kg" in page.url
    page.fill("#filter input[name=q]", "Ti")
    page.wait_for_selector("#table caption:has-text('1 of 2 candidates')")
    assert page.evaluate(keys) == [site.key("Ti3")]
    assert page.evaluate("window.stays")


def test_texts_of_the_database_run_nowhere(page, url: str, evil: str) -> None:
    name = quote(evil, safe="")
    page.goto(url)
    page.click(f"a[href='/campaign/{name}']")
    page.wait_for_selector("#heatmap[data-known='0'] .main-svg", state="attached")
    assert page.inner_text("h1") == evil
    page.wait_for_selector(".failures")
    assert evil in page.text_content(".failures")
    assert evil in page.evaluate("[...document.querySelectorAll('#heatmap text')].map((text) => text.textContent)")
    page.click(f"#table a[href='/campaign/{name}/candidate/{name}']")
    page.wait_for_selector("#failures")
    assert evil in page.inner_text("#failures pre")
    assert evil in page.inner_text("#provenance-title ~ ul")
    assert page.evaluate("window.ran") is None


def test_the_heatmap_fills_as_a_result_comes(page, url: str, site) -> None:
    """The last test of the module: it adds the result that the doped candidate lacks."""
    page.goto(f"{url}/campaign/tiny")
    page.wait_for_selector("#heatmap[data-known='1'] .main-svg", state="attached")
    page.select_option("#criterion", "barrier_1d")
    page.wait_for_selector("#heatmap-caption:has-text('1 of 2 candidates have a 1D BVSE barrier')")
    page.evaluate("window.stays = true")
    site.bvse("Ti3")
    page.wait_for_selector("#heatmap[data-known='2']")
    page.wait_for_selector("#table caption:has-text('2 with a score')")
    page.wait_for_selector(".stages:has-text('2 done')")
    assert page.evaluate("window.stays")
    assert page.evaluate("document.getElementById('heatmap').data[1].z.flat().every((value) => value > 0)")


def test_a_page_without_its_server_says_so(browser, url: str, site) -> None:
    page = browser.new_page()
    page.goto(url)
    page.wait_for_selector(".campaign")
    page.context.set_offline(True)
    page.wait_for_selector("#away:has-text('not reached')")
    page.context.set_offline(False)
    page.wait_for_selector("#away", state="hidden")
    page.close()
