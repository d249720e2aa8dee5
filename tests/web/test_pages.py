from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pymongo import monitoring
from starlette.testclient import TestClient

from lzc_flows.database.server import start_server, stop_server
from lzc_flows.database.stores import connect
from lzc_flows.web.app import create_app
from lzc_flows.web.live import Live
from lzc_flows.web.source import Source

HERE = "http://127.0.0.1:8100"


class Commands(monitoring.CommandListener):
    """The names of all commands that this process sends while it listens."""

    names: list[str] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if Commands.names is not None:
            Commands.names.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture(scope="module", autouse=True)
def listener() -> None:
    monitoring.register(Commands())


@pytest.fixture(scope="module")
def client(site) -> Iterator[TestClient]:
    live = Live(Source(connect()), fresh_s=0.0)
    with TestClient(create_app(live, ["127.0.0.1"]), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def text_of(page: str) -> str:
    """What a reader sees of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def ready(client: TestClient, address: str, wait_until: Callable[..., None]) -> dict:
    """What a JSON endpoint answers once it was read."""
    wait_until(lambda: client.get(address).status_code == 200)
    return client.get(address).json()


def test_all_campaigns_with_their_stages(client: TestClient, wait_until: Callable) -> None:
    wait_until(lambda: "order: 2 done" in client.get("/").text)
    page = client.get("/").text
    assert 'href="/campaign/tiny"' in page
    assert "bvse: 1 done, 1 failed" in page
    assert client.get("/api/campaigns").json()[0]["name"] == "tiny"


def test_a_campaign_tells_stages_failures_and_candidates(client: TestClient, site, wait_until: Callable) -> None:
    wait_until(lambda: "2 candidates" in text_of(client.get("/campaign/tiny").text))
    wait_until(lambda: "no-such-uuid" in client.get("/campaign/tiny").text)
    page = client.get("/campaign/tiny").text
    for candidate in site.campaign.candidates:
        assert f'href="/campaign/tiny/candidate/{candidate.key}"' in page
    assert "input missing" in text_of(page)
    assert "2 of 2 candidates, 1 with a score" in text_of(page)


def test_the_heatmap_has_numbers_failures_and_what_is_awaited(client: TestClient, site, wait_until: Callable) -> None:
    ready(client, "/api/status/tiny", wait_until)
    found = ready(client, "/api/heatmap/tiny?criterion=barrier_3d", wait_until)
    assert (found["x"], found["known"], found["total"]) == (["pristine", "Ti3+"], 1, 2)
    assert found["lower_is_better"]
    wait_until(lambda: client.get("/api/heatmap/tiny").json()["state"] == [[None, 1]])
    assert found["key"] == [[site.key("undoped"), site.key("Ti3")]]
    summary = client.get(f"/api/candidate/{site.key('undoped')}").json()
    assert found["z"] == [[pytest.approx(summary["barrier_3d"]), None]]
    cost = client.get("/api/heatmap/tiny?criterion=cost_usd_per_kg").json()
    assert cost["known"] == 2
    assert "criterion" in client.get("/api/heatmap/tiny?criterion=x").json()["error"]


def test_an_unchanged_answer_is_not_sent_twice(client: TestClient, wait_until: Callable) -> None:
    ready(client, "/api/heatmap/tiny", wait_until)
    first = client.get("/api/heatmap/tiny?criterion=cost_usd_per_kg")
    second = client.get(first.url, headers={"if-none-match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")


def test_the_table_sorts_filters_and_refuses(client: TestClient, site, wait_until: Callable) -> None:
    found = ready(client, "/api/candidates/tiny?sort=cost_usd_per_kg", wait_until)
    costs = [row["cost_usd_per_kg"] for row in found["rows"]]
    assert costs == sorted(costs)
    down = client.get("/api/candidates/tiny?sort=-cost_usd_per_kg").json()
    assert [row["cost_usd_per_kg"] for row in down["rows"]] == costs[::-1]
    (only,) = client.get("/api/candidates/tiny", params={"q": "Ti 1a"}).json()["rows"]
    assert (only["key"], only["done"]) == (site.key("Ti3"), 1)
    assert client.get("/api/candidates/tiny?q=xe").json()["rows"] == []
    assert client.get("/api/candidates/tiny?page=99").json()["view"]["page"] == 1
    for wrong, named in (("sort=x", "sort"), ("page=-1", "page"), ("page=x", "page")):
        answer = client.get(f"/api/candidates/tiny?{wrong}")
        assert answer.status_code == 404
        assert named in answer.json()["error"]


def test_a_candidate_with_numbers_provenance_and_curves(client: TestClient, site) -> None:
    key = site.key("undoped")
    page = client.get(f"/campaign/tiny/candidate/{key}")
    assert page.status_code == 200
    text = text_of(page.text)
    summary = client.get(f"/api/candidate/{key}").json()
    assert summary["stages"]["bvse"]["uuid"] in text
    assert "BVSE barrier, three directions, in eV." in text
    assert f"{summary['barrier_3d']:.4g}" in text
    assert str(site.folder) in text
    (curves,) = client.get(f"/api/curves/{key}").json()
    assert curves["stage"] == "bvse"
    task = site.database.collection("tasks").find_one({"uuid": summary["stages"]["bvse"]["uuid"]})
    of_paths = [task["output"]["from_component_minimum"][f"barrier_{axis}"] for axis in "abc"]
    assert [max(line["y"]) for line in curves["data"]] == pytest.approx(of_paths, abs=1e-3)


def test_the_structure_is_a_figure_of_all_atoms(client: TestClient, site) -> None:
    figure = client.get(f"/api/structure/{site.key('Ti3')}?stage=order").json()
    names = {trace.get("name") for trace in figure["data"]}
    assert {"Li", "Zr", "Ti", "Cl", "F", "cell", "bonds"} <= names
    refused = client.get(f"/api/structure/{site.key('Ti3')}?stage=aimd")
    assert (refused.status_code, "order" in refused.json()["error"]) == (404, True)


def test_a_failure_with_its_traceback(client: TestClient, site) -> None:
    page = text_of(client.get(f"/campaign/tiny/candidate/{site.key('Ti3')}").text)
    assert "Failures" in page
    assert "Traceback (most recent call last)" in page
    assert "no-such-uuid" in page


@pytest.mark.parametrize(
    "address", ["/nothing", "/campaign/none", "/campaign/tiny/candidate/none", "/static/x/style.css"]
)
def test_what_is_not_there(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "Not there" in answer.text


def test_every_answer_is_guarded(client: TestClient) -> None:
    answers = [client.get(address) for address in ("/", "/api/campaigns", "/nothing", "/part/table/none")]
    answers += [client.post("/"), client.get("/", headers={"host": "evil.example"})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert "set-cookie" not in answer.headers


def test_pages_hold_no_script_and_no_style_of_their_own(client: TestClient, site) -> None:
    for address in ("/", "/campaign/tiny", f"/campaign/tiny/candidate/{site.key('Ti3')}"):
        page = client.get(address).text
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
        assert not re.search(r"<style|\son\w+=|\sstyle=", page)
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
        for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            assert client.get(asset).headers["cache-control"].endswith("immutable")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("address", ["/", "/api/campaigns", "/nothing"])
def test_only_reading_is_allowed(client: TestClient, method: str, address: str) -> None:
    answer = client.request(method, address)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert client.head("/").status_code == 200


def test_other_names_for_this_machine_are_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example:8100"}).status_code == 400
    assert client.get("/", headers={"host": "127.0.0.1:8100"}).status_code == 200


def test_texts_of_the_database_are_texts(client: TestClient, evil: str, wait_until: Callable) -> None:
    name = quote(evil, safe="")
    wait_until(lambda: html.escape(evil) in client.get("/").text.replace("&#34;", "&quot;").replace("&#39;", "&#x27;"))
    wait_until(lambda: "input" in client.get(f"/part/progress/{name}").text)
    for address in ("/", f"/campaign/{name}", f"/campaign/{name}/candidate/{name}", f"/part/table/{name}"):
        page = client.get(address)
        assert page.status_code == 200
        assert evil in html.unescape(page.text)
        assert evil not in page.text
        assert "<img src=x" not in page.text
        assert "window.ran = 1</script>" not in page.text
    assert ready(client, f"/api/heatmap/{name}", wait_until)["x"] == [evil]


def test_nothing_is_ever_written(client: TestClient, site, evil: str, wait_until: Callable) -> None:
    Commands.names = []
    key = site.key("undoped")
    addresses = [
        "/",
        "/campaign/tiny",
        "/part/campaigns",
        "/part/progress/tiny",
        "/part/table/tiny",
        "/api/status/tiny",
    ]
    addresses += ["/api/heatmap/tiny", "/api/candidates/tiny", "/api/campaigns", f"/campaign/tiny/candidate/{key}"]
    addresses += [f"/api/{what}/{key}" for what in ("candidate", "structure", "curves")]
    for address in addresses:
        wait_until(lambda address=address: client.get(address).status_code == 200)
    sent, Commands.names = set(Commands.names), None
    assert {"find", "ping"} <= sent
    reading = {"find", "getMore", "aggregate", "count", "distinct", "ping", "hello", "killCursors", "endSessions"}
    assert sent <= reading | {"listCollections", "serverStatus", "buildInfo", "saslStart", "saslContinue", "ismaster"}


def test_an_away_database_is_said_and_found_again(
    tmp_path: Path, set_lzc: Callable, tiny: Callable, wait_until: Callable
) -> None:
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path)):
        start_server(tmp_path)
        try:
            database = connect()
            database.collection("campaigns").insert_one({"name": "here", "spec": tiny()})
            live = Live(Source(connect(), answer_s=0.5), fresh_s=0.0)
            with TestClient(create_app(live, ["127.0.0.1"]), base_url=HERE) as client:
                assert "here" in client.get("/").text
                stop_server(tmp_path)
                wait_until(lambda: "The database has not answered since" in client.get("/").text)
                answer = client.get("/")
                assert "here" in answer.text  # what was read before
                assert "x-database-away-since" in answer.headers
                assert client.get("/campaign/here/candidate/x").status_code == 503
                assert client.get("/api/candidate/x").status_code == 503
                start_server(tmp_path)  # on another port
                wait_until(lambda: "x-database-away-since" not in client.get("/").headers)
                assert client.get("/campaign/here/candidate/x").status_code == 404
        finally:
            stop_server(tmp_path)
