from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fireworks import FWorker

from lzc_flows.database.processes import ProcessName
from lzc_flows.database.stores import Database
from lzc_flows.launch.launchpad import open_launchpad

Tiny = Callable[[], dict[str, Any]]


@pytest.fixture
def path(database: Database, tiny: Tiny, campaign_file: Callable) -> Path:
    """A campaign file; an empty database is set."""
    return campaign_file(tiny())


def document(result: Any) -> Any:
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_submit_status_advance_query_in_json(lzc: Callable, path: Path) -> None:
    assert document(lzc("submit", path, "--json")) == {
        "campaign": "tiny",
        "candidates": 2,
        "queued": 2,
        "new": 2,
        "dropped": 0,
    }
    assert document(lzc("submit", path, "--json")) == {
        "campaign": "tiny",
        "candidates": 2,
        "queued": 0,
        "new": 0,
        "dropped": 0,
    }
    assert document(lzc("advance", "tiny", "--json")) == {"campaign": "tiny", "queued": 0}
    status = {
        "campaign": "tiny",
        "candidates": 2,
        "counts": {"order": {"READY": 2}, "relax": {"TO DO": 2}, "bvse": {"TO DO": 2}},
        "failures": [],
        "causes": [],
        "throughput_per_h": {},
        "mean_run_s": {},
        "remaining_s": None,
        "ends_at": None,
        "estimate": "no worker lives",
        "workers": {"alive": 0, "lost": 0, "hosts": {}},
    }
    # by the name of a submitted campaign, and by its file
    assert document(lzc("status", "tiny", "--json")) == document(lzc("status", path, "--json")) == status
    found = document(lzc("query", "tiny", "--where", "cation=Ti3+", "--json"))
    assert [entry["formula"] for entry in found] == ["Li7Zr2Ti1Cl17F1"]
    assert found[0]["barrier_3d"] is None
    assert document(lzc("recover", "tiny", "--json")) == {
        "campaign": "tiny",
        "lost": 0,
        "failed": 0,
        "given_up": 0,
        "decisions": [],
    }


def test_the_same_for_people(lzc: Callable, path: Path) -> None:
    assert lzc("submit", path).out == "tiny: 2 candidates, 2 jobs queued\n"
    assert lzc("advance", path).out == "tiny: 0 jobs queued\n"
    assert lzc("recover", path).out == "tiny: 0 lost and 0 failed jobs queued again\n"
    status = lzc("status", path)
    assert status.code == 0
    for words in ("tiny: 2 candidates", "READY", "TO DO"):
        assert words in status.out
    found = lzc("query", "tiny", "--where", "cation=none")
    assert "1 candidates" in found.out
    assert "Li6Zr3Cl18" in found.out


def test_recover_counts_what_was_lost_and_what_had_failed(lzc: Callable, path: Path, database: Database) -> None:
    lzc("submit", path)
    launchpad = open_launchpad(database)
    me = ProcessName.of_this_process()
    for fw_id, worker in ((1, str(ProcessName(me.host, me.pid, 1.0))), (2, str(me))):
        launchpad.checkout_fw(FWorker(name=worker), "/tmp", fw_id=fw_id)
    launchpad.mark_fizzled(launchpad.get_fw_by_id(2).launches[-1].launch_id)
    planned = document(lzc("recover", "tiny", "--dry-run", "--json"))
    assert (planned["lost"], planned["failed"]) == (1, 1)
    assert document(lzc("status", "tiny", "--json"))["counts"]["order"] == {"FIZZLED": 1, "RUNNING": 1}
    told = lzc("recover", "tiny", "--dry-run").out
    assert "worker died: 1 lost: continue\n" in told
    assert told.endswith("tiny: 1 lost and 1 failed jobs would be queued again\n")
    done = document(lzc("recover", "tiny", "--json"))
    assert done == planned
    assert {decision["cause"] for decision in done["decisions"]} == {"worker died", "unknown"}
    assert document(lzc("status", "tiny", "--json"))["counts"]["order"] == {"READY": 2}


def test_a_campaign_without_results_ranks_with_everything_missing(lzc: Callable, path: Path, tmp_path: Path) -> None:
    lzc("submit", path)
    result = lzc("rank", "tiny", "--json")
    ranking = document(result)
    rows = ranking["rows"]
    assert (len(rows), ranking["campaign"]) == (2, "tiny")
    assert [(tier["tier"], tier["candidates"]) for tier in ranking["tiers"]] == [("static", 0)]
    for row in rows:
        assert row["missing"] == "barrier_1d;barrier_3d"
        assert row["why_missing"] == "barrier_1d: no result of bvse; barrier_3d: no result of bvse"
        assert row["cost_usd_per_kg"] > 0
        for name in ("performance", "performance_cost", "rank_performance", "barrier_1d", "barrier_1d_normalised"):
            assert row[name] is None
    report = tmp_path / "campaigns" / "tiny" / "report"
    assert result.err.splitlines() == [f"wrote {report / n}" for n in ("heatmap.png", "heatmap.svg", "ranking.csv")]
    assert sorted(file.name for file in report.iterdir()) == ["heatmap.png", "heatmap.svg", "ranking.csv"]
    table = lzc("rank", "tiny").out
    assert "Ti3+" in table
    assert "pristine" in table
    assert "no result of bvse" in table
    explained = document(lzc("rank", "tiny", "--explain", rows[0]["key"], "--json"))
    assert explained["key"] == rows[0]["key"]
    assert [part["weight"] for part in explained["parts"]["performance"]] == [0, 0]
    assert "no result of bvse" in lzc("rank", "tiny", "--explain", rows[0]["key"]).out
    assert lzc("rank", "tiny", "--explain", "nobody").code == 2


@pytest.mark.parametrize("command", ["status", "recover", "query", "rank", "submit", "advance", "work", "run"])
def test_an_unknown_campaign_is_refused_with_the_known_ones(lzc: Callable, path: Path, command: str) -> None:
    lzc("submit", path)
    result = lzc(command, "tyni", "--json")
    assert (result.code, result.out) == (2, "")
    assert result.err == "lzc: campaign 'tyni': not in the database; it holds tiny\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["query", "tiny", "--where", "kation=Ti"], "unknown field 'kation'; allowed are key, "),
        (["query", "tiny", "--where", "cation"], "FIELD OPERATOR VALUE is allowed"),
        (["query", "tiny", "--where", "barrier_3d<low"], "a number is allowed"),
    ],
)
def test_bad_conditions_leave_with_2_and_one_line(lzc: Callable, path: Path, arguments: list[str], named: str) -> None:
    lzc("submit", path)
    result = lzc(*arguments, "--json")
    assert (result.code, result.out) == (2, "")
    assert named in result.err
    assert len(result.err.splitlines()) == 1


def test_ranking_before_submitting_is_refused(lzc: Callable, path: Path, tmp_path: Path) -> None:
    result = lzc("rank", path)
    assert (result.code, result.out) == (2, "")
    assert result.err == "lzc: campaign 'tiny': no candidates in the database; submit it first\n"
    assert not (tmp_path / "campaigns").exists()


@pytest.mark.parametrize("command", ["submit", "run", "status", "query", "rank"])
def test_no_server_at_the_uri_is_one_line_without_credentials(
    lzc: Callable, tiny: Tiny, campaign_file: Callable, set_lzc: Callable, tmp_path: Path, command: str
) -> None:
    path = campaign_file(tiny())
    uri = "mongodb://curie:Sesame@127.0.0.1:1/?appName=Sesame"
    with set_lzc(LZC_MONGO_URI=uri, LZC_MONGO_TIMEOUT_S="0.2", LZC_CAMPAIGNS_DIR=str(tmp_path / "campaigns")):
        result = lzc(command, path)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("lzc: no MongoDB server answers at mongodb://127.0.0.1:1: ")
    assert len(result.err.splitlines()) == 1
    assert "Sesame" not in result.err
    assert "curie" not in result.err
    assert list(tmp_path.iterdir()) == [path]


def test_the_history_of_tries_is_printed(lzc: Callable, path: Path, database: Database) -> None:
    lzc("submit", path)
    launchpad = open_launchpad(database)
    launchpad.checkout_fw(FWorker(name=str(ProcessName.of_this_process())), "/tmp", fw_id=1)
    launchpad.mark_fizzled(launchpad.get_fw_by_id(1).launches[-1].launch_id)
    assert lzc("recover", "tiny", "--tries", "1").out.endswith("0 lost and 0 failed jobs queued again, 1 given up\n")
    (entry,) = document(lzc("recover", "tiny", "--history", "--json"))["history"]
    assert (entry["action"], entry["attempt"]) == ("give up", 1)
    for told in (lzc("recover", "tiny", "--history"), lzc("status", "tiny", "--tries", entry["candidate"])):
        assert "try 1 failed, unknown: give up: no exception recorded (after 1 tries)" in told.out
        assert told.out.endswith("tiny: 1 decisions\n")
    assert "given up: order" in lzc("status", "tiny").out
    assert lzc("recover", "tiny", "--retry-given-up").out.endswith("0 lost and 1 failed jobs queued again\n")
    assert document(lzc("status", "tiny", "--json"))["counts"]["order"] == {"READY": 2}
