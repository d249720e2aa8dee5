from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lzc_flows.database.plans import campaign_document, planned_candidates, planned_keys, planned_stages
from lzc_flows.database.queries import Query, candidates, count, select
from lzc_flows.database.stores import CAMPAIGNS, CANDIDATES, PLAN, Database
from lzc_flows.database.table import ranking_table
from lzc_flows.documents.candidate import CandidateDoc
from lzc_flows.errors import InputError

UNDOPED: dict[str, Any] = {
    "key": "undoped",
    "stage_keys": {"order": "undoped-order", "relax": "undoped-relax"},
    "campaigns": ["2026", "other"],
    "host": "lzc",
    "cation": None,
    "cation_element": None,
    "cation_site": None,
    "cation_count": 0,
    "anion": None,
    "anion_element": None,
    "anion_site": None,
    "anion_count": 0,
    "supercell": (1, 1, 1),
    "cation_axis": "pristine",
    "column": "undoped",
    "formula": "Li6Zr3Cl18",
    "extra_mobile": 0,
    "arrangements": "1",
    "cost_usd_per_kg": 8.68,
    "order_exhaustive": True,
    "barrier_1d": 0.4,
    "barrier_2d": 0.5,
    "barrier_3d": 0.6,
}


def doped(key: str, ion: str, site: str, **numbers: Any) -> dict[str, Any]:
    element = ion.rstrip("+-0123456789")
    names = {"cation": ion, "cation_element": element, "cation_site": site, "cation_count": 1, "cation_axis": ion}
    anion = {"anion": "F-", "anion_element": "F", "anion_site": "6i", "anion_count": 1, "column": f"{site} ×1"}
    nothing = dict.fromkeys(("barrier_1d", "barrier_2d", "barrier_3d", "order_exhaustive"))
    stages = {"stage_keys": {"order": f"{key}-order", "relax": f"{key}-relax"}}
    return {
        **UNDOPED,
        **stages,
        "key": key,
        "campaigns": ["2026"],
        "arrangements": "162",
        **names,
        **anion,
        **nothing,
        **numbers,
    }


MENDED = ["relax: VaspErrorHandler: INCAR: ALGO = Normal", "aimd: CutShort: go on from there (1.5 ps)"]
SLOWED = ["cineb: VaspErrorHandler: INCAR: ALGO = Fast", "relax: LargeSigmaHandler: INCAR: SIGMA = 0.03"]

SUMMARIES = [
    UNDOPED,
    doped(
        "Ti3-1a",
        "Ti3+",
        "1a",
        barrier_1d=0.3,
        barrier_2d=0.55,
        barrier_3d=math.inf,
        extra_mobile=1,
        corrections=MENDED,
    ),
    doped(
        "Ti4-2d",
        "Ti4+",
        "2d",
        barrier_1d=0.7,
        barrier_2d=0.8,
        barrier_3d=0.9,
        order_exhaustive=False,
        corrections=SLOWED,
    ),
    doped("Tl3-1a", "Tl3+", "1a", cost_usd_per_kg=None, extra_mobile=1),
]


@pytest.fixture
def filled(database: Database) -> Database:
    documents = [CandidateDoc(**summary).model_dump(mode="json") for summary in SUMMARIES]
    database.collection(CANDIDATES).insert_many(documents)
    names = ("key", "stage_keys", "campaigns")
    database.collection(PLAN).insert_many([{name: document[name] for name in names} for document in documents])
    spec = {"stages": {"order": {"engine": "nep"}, "bvse": None, "aimd": {"top": 3}}}
    database.collection(CAMPAIGNS).insert_many([{"name": name, "spec": spec} for name in ("other", "2026")])
    return database


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("", "Ti3-1a Ti4-2d Tl3-1a undoped"),
        ("cation=Ti", "Ti3-1a Ti4-2d"),
        ("cation=Ti3+", "Ti3-1a"),
        ("cation='Ti3+'", "Ti3-1a"),
        ("cation=T", ""),
        ("cation!=Ti", "Tl3-1a undoped"),
        ("cation!=Ti3+", "Ti4-2d Tl3-1a undoped"),
        ("cation=none", "undoped"),
        ("cation != none", "Ti3-1a Ti4-2d Tl3-1a"),
        ("anion=F, cation=Ti", "Ti3-1a Ti4-2d"),
        ("anion=F-,cation=Ti,barrier_3d<1", "Ti4-2d"),
        ("barrier_1d<0.4", "Ti3-1a"),
        ("barrier_1d<=0.4", "Ti3-1a undoped"),
        ("barrier_1d<=4e-1", "Ti3-1a undoped"),
        ("barrier_1d>0.4", "Ti4-2d"),
        ("barrier_1d>=0.4", "Ti4-2d undoped"),
        # no percolation is a number, above all others; not computed is none
        ("barrier_3d>100", "Ti3-1a"),
        ("barrier_3d=inf", "Ti3-1a"),
        ("barrier_3d=none", "Tl3-1a"),
        ("cost_usd_per_kg=none", "Tl3-1a"),
        ("extra_mobile=1", "Ti3-1a Tl3-1a"),
        ("extra_mobile<1", "Ti4-2d undoped"),
        ("order_exhaustive=true", "undoped"),
        ("order_exhaustive=False", "Ti4-2d"),
        # text that looks like a number
        ("arrangements=162", "Ti3-1a Ti4-2d Tl3-1a"),
        ("campaigns=2026", "Ti3-1a Ti4-2d Tl3-1a undoped"),
        ("cation_site=1a", "Ti3-1a Tl3-1a"),
        ("key=undoped", "undoped"),
        # which candidates needed ALGO = Normal?
        ("corrections~ALGO = Normal", "Ti3-1a"),
        ("corrections ~ 'algo = normal'", "Ti3-1a"),
        ("corrections~INCAR: ALGO", "Ti3-1a Ti4-2d"),
        ("corrections~ALGO = Normal, corrections~CutShort", "Ti3-1a"),
        ("corrections~ALGO = Normal, corrections~SIGMA", ""),
        # as it stands: neither a regular expression nor another operator
        ("corrections~ALGO.*Normal", ""),
        ("corrections~(1.5 ps)", "Ti3-1a"),
        ("corrections~1x5", ""),
        ("corrections~there (", "Ti3-1a"),
        ("corrections~>=", ""),
        # of the whole list, one entry is enough
        ("corrections=cineb: VaspErrorHandler: INCAR: ALGO = Fast", "Ti4-2d"),
        ("formula~zr3", "Ti3-1a Ti4-2d Tl3-1a undoped"),
        ("cation~3+", "Ti3-1a Tl3-1a"),
        ("cation~ti", "Ti3-1a Ti4-2d"),
        ("cation~none", ""),
        ("column~×1", "Ti3-1a Ti4-2d Tl3-1a"),
        ("cation=Ti or cation=Tl", "Ti3-1a Ti4-2d Tl3-1a"),
        ("cation in (Ti4+, Tl, none), barrier_1d!=none", "Ti4-2d undoped"),
        ("cation not in (Ti4+, Tl)", "Ti3-1a undoped"),
        # the comma binds less than or, and less than and
        ("cation=Ti3+ or cation=none, barrier_3d<1", "undoped"),
        ("cation=Ti3+ or cation=none and barrier_3d<1", "Ti3-1a undoped"),
        ("not (cation=Ti or cation=none)", "Tl3-1a"),
        # not and != are opposites: what has no value fulfils them
        ("not barrier_3d<0.8", "Ti3-1a Ti4-2d Tl3-1a"),
        ("not barrier_3d<0.8 and barrier_3d!=none", "Ti3-1a Ti4-2d"),
        ("corrections=none", "Tl3-1a undoped"),
        ("corrections!=none and (corrections~(1.5 ps))", "Ti3-1a"),
        ("corrections~'go on from there (1.5 ps' and cation=Ti", "Ti3-1a"),
        ("supercell=1x1x1", "Ti3-1a Ti4-2d Tl3-1a undoped"),
        ("supercell!=1×1×1", ""),
        ("stage_keys.relax=Ti3-1a-relax", "Ti3-1a"),
        ("stage_keys.bvse", ""),
        ("stage_keys.relax and not stages.relax, engines=none", "Ti3-1a Ti4-2d Tl3-1a undoped"),
        (",cation=Ti3+,, ", "Ti3-1a"),
        ("NOT cation IN ('Ti4+', \"Tl\") AND cation != none", "Ti3-1a"),
    ],
)
def test_filters(filled: Database, where: str, found: str) -> None:
    assert [entry["key"] for entry in candidates(filled, "2026", where)] == found.split()


def test_filters_stay_within_the_campaign(filled: Database) -> None:
    assert [entry["key"] for entry in candidates(filled, "other")] == ["undoped"]
    assert candidates(filled, "other", "cation=Ti") == []
    assert planned_keys(filled, "other") == {"undoped-order", "undoped-relax"}
    assert (planned_candidates(filled, "other"), planned_candidates(filled, "2026")) == (1, 4)
    assert planned_stages(filled, "2026") == {"order": 4, "aimd": 3}
    assert planned_stages(filled, "none") == {}
    assert planned_stages(filled, "other") == {"order": 1, "aimd": 1}
    filled.collection(CAMPAIGNS).update_one({"name": "2026"}, {"$set": {"spec.stages.cineb": {"top": None}}})
    assert planned_stages(filled, "2026") == {"order": 4, "aimd": 3, "cineb": 4}
    assert (planned_keys(filled, "none"), planned_candidates(filled, "none")) == (set(), 0)


def test_a_selection_comes_with_the_key_and_nothing_else(filled: Database) -> None:
    asked = Query("cation=Ti3+", ("formula", "stage_keys.order", "barrier_3d"))
    assert select(filled, "2026", asked) == [
        {"key": "Ti3-1a", "formula": "Li6Zr3Cl18", "stage_keys": {"order": "Ti3-1a-order"}, "barrier_3d": math.inf}
    ]
    # what orders them is not shown, and a field within another one that is asked for is no contradiction
    asked = Query("cation=Ti3+", ("stage_keys", "stage_keys.order"), ("-stage_keys.relax", "barrier_1d"))
    stage_keys = {"order": "Ti3-1a-order", "relax": "Ti3-1a-relax"}
    assert select(filled, "2026", asked) == [{"key": "Ti3-1a", "stage_keys": stage_keys}]
    assert select(filled, "other", Query(fields=("electronic_hop", "engines.relax"), sort=("-gap_ev",))) == [
        {"key": "undoped", "electronic_hop": None, "engines": {}}
    ]


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        (("barrier_1d",), "Ti3-1a undoped Ti4-2d Tl3-1a"),
        # missing values come last either way; +inf is a value
        (("-barrier_1d",), "Ti4-2d undoped Ti3-1a Tl3-1a"),
        (("-barrier_3d",), "Ti3-1a Ti4-2d undoped Tl3-1a"),
        (("cost_usd_per_kg",), "Ti3-1a Ti4-2d undoped Tl3-1a"),
        (("-extra_mobile", "-key"), "Tl3-1a Ti3-1a undoped Ti4-2d"),
        (("-cation_site", "barrier_1d"), "Ti4-2d Ti3-1a Tl3-1a undoped"),
        (("order_exhaustive",), "Ti4-2d undoped Ti3-1a Tl3-1a"),
        (("corrections", "-stage_keys.order"), "Ti4-2d Ti3-1a undoped Tl3-1a"),
    ],
)
def test_orders(filled: Database, sort: tuple[str, ...], found: str) -> None:
    assert [entry["key"] for entry in select(filled, "2026", Query(sort=sort))] == found.split()
    few = select(filled, "2026", Query(fields=("formula",), sort=sort, limit=2))
    assert [entry["key"] for entry in few] == found.split()[:2]
    assert all(set(entry) == {"key", "formula"} for entry in few)


def test_counts(filled: Database) -> None:
    assert [count(filled, "2026", where) for where in ("", "cation=Ti", "campaigns=other", "cation=W")] == [4, 2, 1, 0]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"where": "kation=Ti"}, "unknown field 'kation'; allowed are key, "),
        ({"fields": ("key", "$where")}, r"^unknown field '\$where'; allowed are key, "),
        ({"fields": ("engines.rlax",)}, "unknown field 'engines.rlax'; allowed after the dot are order, relax, bvse, "),
        ({"sort": ("-kation",)}, "unknown field 'kation'"),
        ({"sort": ("engines",)}, "^sort by 'engines': an entry is allowed, such as engines.relax$"),
        ({"limit": 0}, "^limit 0: 1 and above is allowed$"),
    ],
)
def test_bad_queries_are_refused_before_the_database_is_asked(query: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        Query(**query)
    assert "\n" not in str(caught.value)


def test_the_ranking_table_keeps_inf_and_nan_apart(filled: Database) -> None:
    table = ranking_table(filled, "2026").set_index("key")
    assert list(table["cation"]) == ["Ti3+", "Ti4+", "Tl3+", "pristine"]
    assert list(table["column"]) == ["1a ×1", "2d ×1", "1a ×1", "undoped"]
    assert table.loc["Ti3-1a", "barrier_3d"] == math.inf
    assert np.isnan(
        table.loc["Tl3-1a", ["barrier_1d", "barrier_2d", "barrier_3d", "cost_usd_per_kg"]].astype(float)
    ).all()
    assert table.loc["undoped", "barrier_3d"] == 0.6
    assert table.dtypes[["barrier_1d", "cost_usd_per_kg"]].eq(float).all()


def test_an_unknown_campaign_is_an_empty_table_of_the_same_columns(filled: Database) -> None:
    assert ranking_table(filled, "none").empty
    assert list(ranking_table(filled, "none").columns) == list(ranking_table(filled, "2026").columns)


def test_an_unknown_campaign_is_refused_with_the_known_ones(filled: Database, database: Database) -> None:
    assert campaign_document(filled, "2026")["name"] == "2026"
    with pytest.raises(InputError, match=r"^campaign 'nine': not in the database; it holds 2026, other$"):
        campaign_document(filled, "nine")
    filled.collection(CAMPAIGNS).delete_many({})
    with pytest.raises(InputError, match=r"it holds none$"):
        campaign_document(filled, "nine")
