from __future__ import annotations

from typing import Any

import pytest
from custodian.custodian import Custodian
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.documents.base import Correction
from lzc_flows.recovery.corrections import action_words, corrections_of

TAGS = st.text("ABCDEFG_", min_size=1, max_size=6)
VALUES = st.one_of(st.integers(), st.booleans(), st.text("abc", max_size=4), st.lists(st.integers(), max_size=3))


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (
            {"dict": "INCAR", "action": {"_set": {"ALGO": "All", "ISEARCH": 1}}},
            ["INCAR: ALGO = All", "INCAR: ISEARCH = 1"],
        ),
        ({"dict": "INCAR", "action": {"_unset": {"NPAR": 1}}}, ["INCAR: NPAR taken out"]),
        (
            {"dict": "KPOINTS", "action": {"_set": {"generation_style": "Gamma"}}},
            ["KPOINTS: generation_style = Gamma"],
        ),
        ({"file": "CONTCAR", "action": {"_file_copy": {"dest": "POSCAR"}}}, ["CONTCAR copied to POSCAR"]),
        ({"file": "CHGCAR", "action": {"_file_delete": {"mode": "actual"}}}, ["CHGCAR deleted"]),
        # CP2K's are nested
        (
            {
                "dict": "cp2k.inp",
                "action": {"_set": {"FORCE_EVAL": {"DFT": {"SCF": {"MAX_SCF": 50, "EPS_SCF": 1e-6}}}}},
            },
            ["cp2k.inp: FORCE_EVAL/DFT/SCF/MAX_SCF = 50", "cp2k.inp: FORCE_EVAL/DFT/SCF/EPS_SCF = 1e-06"],
        ),
        # others of custodian's, and our own
        ({"dict": "INCAR", "action": {"_push": {"A": 1}}}, ["INCAR: push {'A': 1}"]),
        ("rerun", ["rerun"]),
        ({"optimizer": "BFGS"}, ["{'optimizer': 'BFGS'}"]),
    ],
)
def test_words(action: Any, words: list[str]) -> None:
    assert action_words(action) == words


def leaves(content: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    found = []
    for name, value in content.items():
        path = (*above, name)
        found += leaves(value, path) if isinstance(value, dict) else [("/".join(path), value)]
    return found


@given(st.dictionaries(TAGS, st.recursive(VALUES, lambda inner: st.dictionaries(TAGS, inner, max_size=3)), max_size=4))
def test_every_leaf_of_a_nested_mapping_is_told_once(content: dict[str, Any]) -> None:
    words = action_words({"dict": "cp2k.inp", "action": {"_set": content}})
    assert words == [f"cp2k.inp: {path} = {value}" for path, value in leaves(content)]
    words = action_words({"dict": "INCAR", "action": {"_unset": content}})
    assert words == [f"INCAR: {path} taken out" for path, _ in leaves(content)]


class Handler:
    """A handler by name."""


def test_corrections_come_in_their_order_and_notes_have_no_actions() -> None:
    custodian = Custodian([], [])
    noted = {"handler": Handler(), "errors": ["time"], "actions": None}
    mended = {
        "handler": Handler(),
        "errors": ["a", 3],
        "actions": ["rerun", {"file": "A", "action": {"_file_copy": {"dest": "B"}}}],
    }
    custodian.run_log = [{"corrections": [noted, mended]}, {"corrections": [mended]}]
    both = Correction(handler="Handler", errors=["a", "3"], actions=["rerun", "A copied to B"])
    assert corrections_of(custodian) == [Correction(handler="Handler", errors=["time"], actions=[]), both, both]
