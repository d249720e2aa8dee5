"""Every contradiction is refused with a line that names the tag, and what custodian mends is in VASP's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from custodian.vasp.handlers import VaspErrorHandler
from pymatgen.core import Structure

from lzc_flows.rehearsal.contradictions import check
from lzc_flows.rehearsal.inputs import read_inputs
from lzc_flows.rehearsal.messages import Refusal

CONTRADICTIONS = [
    # kind, tags that differ (None: not given), the tag that is named
    ("static", {"EDIFF": 0.0}, "EDIFF"),
    ("static", {"ENCUT": -1.0}, "ENCUT"),
    ("static", {"NELM": 3, "NELMIN": 4}, "NELMIN"),
    ("static", {"NSW": -2}, "NSW"),
    ("relax", {"MDALGO": 2}, "MDALGO"),
    ("relax", {"SMASS": 0}, "SMASS"),
    ("relax", {"TEBEG": 300}, "TEBEG"),
    ("relax", {"TEEND": 300}, "TEEND"),
    ("relax", {"ANDERSEN_PROB": 0.1}, "ANDERSEN_PROB"),
    ("relax", {"IBRION": -1}, "IBRION"),
    ("relax", {"IBRION": 3, "POTIM": 0}, "POTIM"),
    ("relax", {"POTIM": -0.1}, "POTIM"),
    ("relax", {"IOPT": 1}, "IOPT"),
    ("relax", {"MAXMOVE": 0.1}, "MAXMOVE"),
    ("relax", {"LCLIMB": True}, "LCLIMB"),
    ("relax", {"SPRING": -5}, "SPRING"),
    ("relax", {"IBRION": 5}, "IBRION"),
    ("relax", {"PSTRESS": 10}, "PSTRESS"),
    ("md", {"POTIM": None}, "POTIM"),
    ("md", {"POTIM": 0}, "POTIM"),
    ("md", {"ISIF": 3}, "ISIF"),
    ("md", {"ISIF": 3, "MDALGO": 0}, "ISIF"),
    ("md", {"SMASS": -3}, "SMASS"),
    ("md", {"SMASS": -1, "MDALGO": 0}, "SMASS"),
    ("md", {"MDALGO": 1}, "ANDERSEN_PROB"),
    ("md", {"MDALGO": 1, "ANDERSEN_PROB": 0.1}, "ANDERSEN_PROB"),
    ("md", {"MDALGO": 3}, "MDALGO"),
    ("md", {"TEBEG": -1}, "TEBEG"),
    ("md", {"TEBEG": 0, "TEEND": 0}, "TEBEG"),
    ("md", {"ML_LMLFF": True}, "ML_LMLFF"),
    ("static", {"MAGMOM": [1] * 8}, "MAGMOM"),
    ("static", {"NUPDOWN": 1}, "NUPDOWN"),
    ("static", {"ISPIN": 2, "MAGMOM": [1] * 7}, "MAGMOM"),
    ("static", {"ISPIN": 2, "NUPDOWN": 100}, "NUPDOWN"),
    ("static", {"LDAUU": [3, 0]}, "LDAUU"),
    ("static", {"LDAU": True, "LDAUU": [3, 0, 1]}, "LDAUU"),
    ("static", {"ICHARG": 11}, "ICHARG"),
    ("static", {"LSORBIT": True}, "LSORBIT"),
]


@pytest.mark.parametrize(("kind", "changes", "tag"), CONTRADICTIONS)
def test_refused(
    kind: str,
    changes: dict[str, Any],
    tag: str,
    tags: dict[str, Any],
    written: Callable[..., Path],
    salt: Structure,
    tmp_path: Path,
) -> None:
    incar = {name: value for name, value in {**tags[kind], **changes}.items() if value is not None}
    with pytest.raises(Refusal) as refused:
        check(read_inputs(written(tmp_path, incar, salt)))
    assert f"Error reading item '{tag}'" in str(refused.value)


@pytest.mark.parametrize("kind", ["static", "relax", "md"])
def test_taken(kind: str, tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path) -> None:
    assert check(read_inputs(written(tmp_path, tags[kind], salt))) == []


@pytest.mark.parametrize(
    ("changes", "mesh", "error"),
    [
        ({"ISMEAR": -5}, (1, 1, 1), "tet"),
        ({"NBANDS": 10}, (2, 2, 2), "nbands_not_sufficient"),
        ({"LELF": True, "KPAR": 2}, (2, 2, 2), "elf_kpar"),
    ],
)
def test_what_custodian_mends(
    changes: dict[str, Any],
    mesh: tuple[int, int, int],
    error: str,
    tags: dict[str, Any],
    written: Callable[..., Path],
    salt: Structure,
    tmp_path: Path,
) -> None:
    folder = written(tmp_path, {**tags["static"], **changes}, salt, mesh)
    with pytest.raises(Refusal) as refused:
        check(read_inputs(folder))
    (folder / "vasp.out").write_text(str(refused.value))
    handler = VaspErrorHandler()
    assert handler.check(folder)
    assert handler.errors == {error}


def test_harris(tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path) -> None:
    folder = written(tmp_path, {**tags["relax"], "ICHARG": 11, "ISPIN": 2}, salt)
    (folder / "CHGCAR").write_text("")
    with pytest.raises(Refusal, match="good joke"):
        check(read_inputs(folder))


def test_potcars_of_other_elements(
    tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path
) -> None:
    folder = written(tmp_path, tags["static"], salt)
    first, second = (folder / "POTCAR").read_text().split("End of Dataset\n")[:2]
    (folder / "POTCAR").write_text(f"{second}End of Dataset\n{first}End of Dataset\n")
    with pytest.raises(Refusal, match="POTCAR holds Cl Li"):
        read_inputs(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ENCUT": 300}, "is below ENMAX = 499"),
        ({"NELECT": 39}, "is odd"),
        ({"ISMEAR": -5, "ALGO": "All"}, "ALGO=A and IALGO=5X tend to fail"),
    ],
)
def test_warned(
    changes: dict[str, Any],
    words: str,
    tags: dict[str, Any],
    written: Callable[..., Path],
    salt: Structure,
    tmp_path: Path,
) -> None:
    warnings = check(read_inputs(written(tmp_path, {**tags["static"], **changes}, salt)))
    assert len(warnings) == 1
    assert words in warnings[0]
