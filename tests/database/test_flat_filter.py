from __future__ import annotations

import math
from typing import Any

import pytest

from lzc_flows.database.expression import parse_where
from lzc_flows.database.flat_filter import flattened
from lzc_flows.database.stores import CANDIDATES, SELECTIVE, Database

DOCUMENTS = [
    {"key": "a", "cation": "Ti3+", "cation_element": "Ti", "barrier_3d": 0.3, "corrections": ["x: y"]},
    {"key": "b", "cation": "Ti4+", "cation_element": "Ti", "barrier_3d": math.inf, "corrections": []},
    {"key": "c", "cation": "Al3+", "cation_element": "Al", "barrier_3d": None, "corrections": ["x: y", "z"]},
    {"key": "d", "cation": None, "cation_element": None, "barrier_3d": math.nan},
    {"key": "e", "barrier_3d": 0.5, "corrections": ["z"]},
]


def flat(where: str) -> dict[str, Any]:
    return flattened(parse_where(where), first=SELECTIVE)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", {}),
        ("barrier_3d<0.6, cation=Ti3+", {"cation": {"$eq": "Ti3+"}, "barrier_3d": {"$lt": 0.6}}),
        ("barrier_3d>0.2 and (barrier_3d<0.6 and cation=Ti)", {
            "cation_element": {"$eq": "Ti"}, "barrier_3d": {"$gt": 0.2, "$lt": 0.6}
        }),
        ("barrier_3d<0.6 and cation in (Ti, Al)", {
            "cation_element": {"$in": ["Ti", "Al"]}, "barrier_3d": {"$lt": 0.6}
        }),
        ("barrier_3d<0.6 and cation=none", {"barrier_3d": {"$lt": 0.6}, "cation": {"$in": [None]}}),
        ("barrier_3d!=0.3 and cation!=Ti3+", {
            "barrier_3d": {"$not": {"$eq": 0.3}}, "cation": {"$not": {"$eq": "Ti3+"}}
        }),
        ("cation=Ti3+ and cation=Al3+", {"cation": {"$eq": "Ti3+"}, "$and": [{"cation": {"$eq": "Al3+"}}]}),
        ("cation=Ti3+ or barrier_3d<0.6", {
            "$and": [{"$or": [{"cation": {"$eq": "Ti3+"}}, {"barrier_3d": {"$lt": 0.6}}]}]
        }),
    ],
)  # fmt: skip
def test_conditions_become_flat_and_those_that_choose_few_come_first(where: str, expected: dict[str, Any]) -> None:
    assert list(flat(where).items()) == list(expected.items())


@pytest.mark.parametrize(
    "where",
    [
        "cation=Ti3+, barrier_3d<0.6",
        "cation in (Ti3+, Al3+), barrier_3d != none",
        "cation in (Ti, Al3+)",
        "not cation=Ti",
        "cation=none",
        "cation != none and cation != Ti3+",
        "cation=none and barrier_3d=none",
        "barrier_3d>0.2 and barrier_3d<0.6 and not barrier_3d=0.5",
        "barrier_3d=inf",
        "not (cation=Ti and barrier_3d=0.3)",
        "not barrier_3d in (0.3, inf)",
        "corrections=z and corrections='x: y'",
        "corrections~Y and corrections=z",
        "corrections != none and not corrections~Y",
        "cation=Ti3+ or barrier_3d<0.6",
        "not (not cation=Ti)",
    ],
)
def test_a_flat_filter_finds_the_same(database: Database, where: str) -> None:
    """On the server with its indexes, as without any by the filter as it was parsed."""
    database.ensure_indexes()
    database.collection(CANDIDATES).insert_many([dict(document) for document in DOCUMENTS])
    database.collection("plain").insert_many([dict(document) for document in DOCUMENTS])
    expected = {entry["key"] for entry in database.collection("plain").find(parse_where(where))}
    assert {entry["key"] for entry in database.collection(CANDIDATES).find(flat(where))} == expected
