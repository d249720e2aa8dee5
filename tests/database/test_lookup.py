from __future__ import annotations

from typing import Any

import pytest
from pymatgen.core import Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.database.lookup import find_candidate, stage_structure
from lzc_flows.database.stores import CANDIDATES, TASKS, Database
from lzc_flows.errors import InputError

TI = "Ti3-1a-x1_2x2x1_0123456789"
TI_F = "Ti3-1a-x1_2x2x1_F1_0123456789"
TWICE = ("Al3-2d_1x1x1_aaaaaaaaaa", "Al3-2d_1x1x1_bbbbbbbbbb")


@pytest.fixture
def held(database: Database) -> Database:
    """Four candidates without results."""
    database.collection(CANDIDATES).insert_many([{"key": key, "stages": {}} for key in (TI, TI_F, *TWICE)])
    return database


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (TI, TI),
        (TI_F, TI_F),
        # readable words, which are the beginning of others as well
        ("Ti3-1a-x1_2x2x1", TI),
        ("Ti3-1a-x1_2x2x1_0", TI),
        ("Ti3-1a-x1_2x2x1_F", TI_F),
        ("Al3-2d_1x1x1_b", TWICE[1]),
    ],
)
def test_a_candidate_by_its_key_or_its_beginning(held: Database, name: str, key: str) -> None:
    assert find_candidate(held, name) == {"key": key, "stages": {}}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Ti3", f"candidate 'Ti3': that could be {TI}, {TI_F}"),
        ("Al3-2d_1x1x1", f"candidate 'Al3-2d_1x1x1': that could be {TWICE[0]}, {TWICE[1]}"),
        ("ti3", f"candidate 'ti3': neither a file nor in the database; it holds {', '.join((*TWICE, TI, TI_F))}"),
        ("x1_2x2x1", "candidate 'x1_2x2x1': neither a file nor in the database; it holds "),
    ],
)
def test_names_that_are_of_none_or_of_several(held: Database, name: str, line: str) -> None:
    with pytest.raises(InputError) as refused:
        find_candidate(held, name)
    assert str(refused.value).startswith(line)


def test_of_several_those_of_the_campaign_are_meant(held: Database) -> None:
    held.collection(CANDIDATES).update_one({"key": TWICE[0]}, {"$set": {"campaigns": ["dft"]}})
    assert find_candidate(held, "Al3-2d_1x1x1", "dft")["key"] == TWICE[0]
    assert find_candidate(held, TI, "dft")["key"] == TI  # the only one of its name
    with pytest.raises(InputError, match="that could be"):
        find_candidate(held, "Al3-2d_1x1x1", "other")


def test_of_many_candidates_a_few_are_named(database: Database) -> None:
    with pytest.raises(InputError, match=r"it holds none$"):
        find_candidate(database, "Ti3")
    database.collection(CANDIDATES).insert_many([{"key": f"key{number}"} for number in range(9)])
    with pytest.raises(InputError, match=r"it holds key0, key1, key2, key3, key4 and 4 more$"):
        find_candidate(database, "Ti3")


def test_the_crystal_is_that_of_the_first_stage_that_is_done(held: Database) -> None:
    ordered = ideal_host().structure
    relaxed = ordered.copy().scale_lattice(1.02 * ordered.volume)
    stages: dict[str, Any] = {}
    for stage, structure in (("order", ordered), ("relax", relaxed)):
        held.collection(TASKS).insert_one({"uuid": stage, "index": 1, "output": {"structure": structure.as_dict()}})
        stages[stage] = {"uuid": stage, "index": 1}
        summary = {"key": TI, "stages": dict(stages)}
        found, left_by = stage_structure(held, summary, ("relax", "order"))
        assert left_by == stage
        assert found == structure
        assert [str(site.specie) for site in found] == [str(site.specie) for site in ordered]
    assert stage_structure(held, summary, ("order",)) == (ordered, "order")
    assert isinstance(found, Structure)


@pytest.mark.parametrize(
    ("stages", "line"),
    [
        ({}, f"candidate '{TI}': no crystal yet: stage relax or order is needed, and done: none"),
        ({"bvse": {}}, f"candidate '{TI}': no crystal yet: stage relax or order is needed, and done: bvse"),
    ],
)
def test_no_crystal_yet(database: Database, stages: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as refused:
        stage_structure(database, {"key": TI, "stages": stages}, ("relax", "order"))
    assert str(refused.value) == line
