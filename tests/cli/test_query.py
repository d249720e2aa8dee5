from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lzc_flows.database.stores import CANDIDATES, Database
from lzc_flows.documents.candidate import CandidateDoc

SIGMA = 0.1 + 0.2
"""A number that needs all of its digits."""


@pytest.fixture
def submitted(
    lzc: Callable, database: Database, tiny: Callable[[], dict[str, Any]], campaign_file: Callable
) -> Database:
    """A campaign of two candidates without results, but for some numbers in one's summary."""
    assert lzc("submit", campaign_file(tiny())).code == 0
    assert lzc("query", "tiny").code == 0  # the summaries are built
    numbers = {
        "barrier_3d": math.inf,
        "sigma_mS_cm": SIGMA,
        "diffusivity_cm2_s": 2e-7,
        "hops": 12,
        "corrections": ["relax: one, [bold]two[/bold]", 'aimd: "three"'],
        "engines": {"relax": "nep (1)"},
    }
    database.collection(CANDIDATES).update_one({"cation": "Ti3+"}, {"$set": numbers})
    return database


def found(result: Any) -> Any:
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def test_a_selection_in_order_as_json(lzc: Callable, submitted: Database) -> None:
    whole = found(lzc("query", "tiny", "--json"))
    assert [set(entry) for entry in whole] == [set(CandidateDoc.model_fields)] * 2
    asked = ("--select", "cation, engines.relax,barrier_3d", "--sort", "-hops")
    some = found(lzc("query", "tiny", *asked, "--json"))
    assert [(entry["cation"], entry["barrier_3d"], entry["engines"]) for entry in some] == [
        ("Ti3+", None, {"relax": "nep (1)"}),
        (None, None, {}),
    ]
    assert set(some[0]) == {"key", "cation", "engines", "barrier_3d"}
    assert found(lzc("query", "tiny", *asked, "--limit", 1, "--json")) == some[:1]
    assert found(lzc("query", "tiny", "--where", "hops>11", "--count", "--json")) == {"campaign": "tiny", "count": 1}
    assert lzc("query", "tiny", "--count").out == "2\n"


def test_a_table_has_the_units_and_the_text_as_it_is(lzc: Callable, submitted: Database) -> None:
    table = lzc("query", "tiny", "--where", "cation=Ti").out
    for words in ("1 candidates", "Li7Zr2Ti1Cl17F1", "barrier_3d (eV)", "cost_usd_per_kg ($/kg)", " inf "):
        assert words in table
    table = lzc("query", "tiny", "--select", "sigma_mS_cm,diffusivity_cm2_s,hops,corrections,engines,supercell").out
    for words in (
        "sigma_mS_cm (mS/cm)",
        "0.300",
        "2.00e-07",
        " 12 ",
        "one, [bold]two[/bold]",
        "relax: nep (1)",
        "1, 1",
    ):
        assert words in table


def test_all_fields_are_listed_without_a_campaign(lzc: Callable) -> None:
    listed = lzc("query", "--fields")
    assert (listed.code, listed.err) == (0, "")
    assert [line.split()[0] for line in listed.out.splitlines()][1:] == [
        f"{name}.STAGE" if name in ("stage_keys", "engines", "stages") else name for name in CandidateDoc.model_fields
    ]
    assert "Tracer diffusivity at that temperature, in cm²/s" in listed.out


def test_files_hold_exact_numbers_and_infinity(lzc: Callable, submitted: Database, tmp_path: Path) -> None:
    names = "barrier_3d,sigma_mS_cm,hops,order_exhaustive,corrections,engines.relax,supercell"
    asked = ("query", "tiny", "--select", names, "--sort", "-cation")
    files = [tmp_path / f"deep/found{suffix}" for suffix in (".csv", ".parquet", ".json")]
    for file in files:
        result = lzc(*asked, "--out", file)
        assert (result.code, result.out, result.err) == (0, "", f"wrote {file}: 2 candidates\n")
    tables = [pd.read_csv(files[0]), pd.read_parquet(files[1])]
    for table in tables:
        assert list(table.columns) == ["key", *names.split(",")]
        assert table["barrier_3d"][0] == math.inf
        assert math.isnan(table["barrier_3d"][1])
        assert table["sigma_mS_cm"][0] == SIGMA
        assert table["hops"][0] == 12
        assert pd.isna(table["hops"][1])
        assert json.loads(table["corrections"][0]) == ["relax: one, [bold]two[/bold]", 'aimd: "three"']
        assert table["engines.relax"][0] == "nep (1)"
        assert json.loads(table["supercell"][1]) == [1, 1, 1]
    assert str(tables[1]["hops"].dtype) == "Int64"
    assert json.loads(files[2].read_text()) == found(lzc(*asked, "--json"))
    assert sorted(file.name for file in files[0].parent.iterdir()) == sorted(file.name for file in files)


def test_a_file_of_nothing_has_the_same_columns(lzc: Callable, submitted: Database, tmp_path: Path) -> None:
    for where, name in (("", "all"), ("cation=W", "none")):
        assert lzc("query", "tiny", "--where", where, "--out", tmp_path / f"{name}.parquet").code == 0
    every, none = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("all", "none"))
    assert (len(every), len(none)) == (2, 0)
    assert every.dtypes.equals(none.dtypes)
    assert "engines.cineb" in every.columns
    assert not {"built_from", "stages.relax.uuid"} & set(every.columns)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--out", "found.xls"], "found.xls: a file that ends in .csv, .parquet, .json is allowed"),
        (["--out", "found"], "found: a file that ends in .csv, .parquet, .json is allowed"),
        (["--out", "found.csv", "--count"], "--count --out found.csv: one of them is allowed"),
        (["--select", "kation"], "unknown field 'kation'; allowed are key, "),
        (["--sort", "-stages"], "sort by '-stages': an entry is allowed, such as -stages.relax"),
        (["--limit", "0"], "limit 0: 1 and above is allowed"),
        (["--where", "cation=Ti)"], "this closing parenthesis opens nowhere"),
    ],
)
def test_bad_questions_are_refused_before_the_database_is_opened(
    assert_refused: Callable, set_lzc: Callable, arguments: list[str], named: str
) -> None:
    with set_lzc(LZC_MONGO_URI="mongodb://127.0.0.1:1/", LZC_MONGO_TIMEOUT_S="0.2"):
        assert_refused(["query", "tiny", *arguments], named)


def test_a_file_that_cannot_be_written_is_refused(lzc: Callable, submitted: Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / "file" / "found.csv", tmp_path / "folder.csv"):
        result = lzc("query", "tiny", "--out", path)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"lzc: {path}: ")
        assert len(result.err.splitlines()) == 1


WORDS = "cation barrier_3d corrections = < ~ and or not in ( ) , ' none Ti 0.6 kation $where [red] \\ -key key engines"
texts = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(WORDS.split()), max_size=8).map(" ".join))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=texts, select=texts, sort=texts)
def test_any_question_is_answered_or_refused_in_one_line(
    lzc: Callable, submitted: Database, where: str, select: str, sort: str
) -> None:
    before = list(submitted.collection(CANDIDATES).find())
    result = lzc("query", "tiny", f"--where={where}", f"--select={select}", f"--sort={sort}", "--json")
    if result.code == 0:
        json.loads(result.out)
    else:
        assert (result.code, result.out) == (2, "")
        assert len(result.err.splitlines()) == 1
        assert "Traceback" not in result.err
    assert list(submitted.collection(CANDIDATES).find()) == before
