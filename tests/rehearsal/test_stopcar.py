from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymatgen.core import Structure
from pymatgen.io.vasp.outputs import Oszicar, Outcar, Vasprun

from lzc_flows.rehearsal.calculate import calculate
from lzc_flows.rehearsal.stopcar import Stop, asked_to_stop


@pytest.mark.parametrize(
    ("content", "stop"),
    [
        ("LSTOP = .TRUE.", Stop.AFTER_IONIC_STEP),
        ("lstop=T\n", Stop.AFTER_IONIC_STEP),
        ("LABORT = .TRUE.\n", Stop.AFTER_ELECTRONIC_STEP),
        ("LSTOP = .FALSE.\n", Stop.NOT),
        ("", Stop.NOT),
    ],
)
def test_what_it_asks(content: str, stop: Stop, tmp_path: Path) -> None:
    (tmp_path / "STOPCAR").write_text(content)
    assert asked_to_stop(tmp_path) is stop
    assert (tmp_path / "STOPCAR").is_file() == (stop is Stop.NOT)


def test_none(tmp_path: Path) -> None:
    assert asked_to_stop(tmp_path) is Stop.NOT


@pytest.mark.parametrize("kind", ["relax", "md"])
def test_soft(
    kind: str, tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path, no_faults: None
) -> None:
    folder = written(tmp_path, tags[kind], salt)
    (folder / "STOPCAR").write_text("LSTOP = .TRUE.")
    assert calculate(folder) == 0
    vasprun = Vasprun(folder / "vasprun.xml", parse_potcar_file=False)
    assert len(vasprun.ionic_steps) == 1
    assert vasprun.converged_electronic
    assert Outcar(folder / "OUTCAR").is_stopped


def test_hard(
    tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path, no_faults: None
) -> None:
    folder = written(tmp_path, tags["relax"], salt)
    (folder / "STOPCAR").write_text("LABORT = .TRUE.")
    assert calculate(folder) == 0
    assert [len(steps) for steps in Oszicar(folder / "OSZICAR").electronic_steps] == [1]
    assert "hard stop encountered" in (folder / "OUTCAR").read_text()
    assert Vasprun(folder / "vasprun.xml", parse_potcar_file=False).nionic_steps == 1
