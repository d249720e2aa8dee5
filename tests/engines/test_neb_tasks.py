from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.engines.base import Ions
from lzc_flows.engines.neb_tasks import (
    OUTCOME_FILE,
    RESULT_FILE,
    TASK_FILE,
    EndResult,
    LegResult,
    Outcome,
    PathResult,
    Task,
    end_task,
    path_task,
)
from lzc_flows.errors import InputError

STAMP = EngineStamp(name="nep", version="calorine 3, nep89")
PROTOCOL = NebProtocol()
SPECIES = ("Li", "Cl", "Zr")
CELL = np.array([[9.0, 0.0, 0.0], [-3.0, 8.0, 0.0], [0.5, 1.0, 7.0]])
ENDS = [
    EndResult(np.arange(9.0).reshape(3, 3) / 7 + shift, energy_ev=-1 / 3 + shift, fmax=0.01 / 3) for shift in (0.0, 0.5)
]
PATH_TASK = path_task(Ions(SPECIES), CELL, ENDS)


def moved(array: np.ndarray) -> np.ndarray:
    """The same but for the last bit of one number."""
    other = array.copy()
    other.flat[-1] = np.nextafter(other.flat[-1], np.inf)
    return other


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "end"},
        {"ions": Ions(("Li", "Zr", "Cl"))},
        {"cell": moved(CELL)},
        {"positions": moved(PATH_TASK.positions)},
        {"energies_ev": moved(PATH_TASK.energies_ev)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_task_has_another_checksum(change: dict[str, Any]) -> None:
    assert replace(PATH_TASK, **change).checksum(STAMP, PROTOCOL) != PATH_TASK.checksum(STAMP, PROTOCOL)


@pytest.mark.parametrize("name", NebProtocol.model_fields)
def test_every_number_of_the_protocol_counts(name: str) -> None:
    now = getattr(PROTOCOL, name)
    changed = PROTOCOL.model_copy(update={name: 3 if now is None else now * 2})
    assert PATH_TASK.checksum(STAMP, changed) != PATH_TASK.checksum(STAMP, PROTOCOL)


@pytest.mark.parametrize("name", ["name", "version"])
def test_the_engine_and_its_version_count(name: str) -> None:
    assert PATH_TASK.checksum(STAMP.model_copy(update={name: "x"}), PROTOCOL) != PATH_TASK.checksum(STAMP, PROTOCOL)


def test_oxidation_states_count_for_engines_with_electrons_only() -> None:
    charged = replace(PATH_TASK, ions=Ions(SPECIES, (1.0, -1.0, 4.0)))
    assert charged.checksum(STAMP, PROTOCOL) == PATH_TASK.checksum(STAMP, PROTOCOL)
    dft = EngineStamp(name="vasp", version="6")
    assert charged.checksum(dft, PROTOCOL) != PATH_TASK.checksum(dft, PROTOCOL)


def test_a_checksum_is_of_the_values_alone() -> None:
    same = Task(
        "path", Ions(SPECIES), np.asfortranarray(CELL), PATH_TASK.positions.copy(), PATH_TASK.energies_ev.copy()
    )
    assert same.checksum(STAMP, NebProtocol()) == PATH_TASK.checksum(STAMP, PROTOCOL)
    assert len(PATH_TASK.checksum(STAMP, PROTOCOL)) == 10
    assert end_task(Ions(SPECIES), CELL, ENDS[0].positions).positions.shape == (1, 3, 3)


def same(one: Any, other: Any) -> bool:
    """Bit for bit."""
    return all(np.array_equal(value, getattr(other, name)) for name, value in vars(one).items())


def test_tasks_and_ends_come_back(tmp_path: Path) -> None:
    for name, task in (("end", end_task(Ions(SPECIES), CELL, ENDS[0].positions)), ("path", PATH_TASK)):
        task.write(tmp_path / name)
        found = Task.read(tmp_path / name)
        assert same(task, found)
        assert found.checksum(STAMP, PROTOCOL) == task.checksum(STAMP, PROTOCOL)
        assert [path.name for path in (tmp_path / name).iterdir()] == [TASK_FILE]
    ENDS[0].write(tmp_path / "end")
    assert same(EndResult.read(tmp_path / "end"), ENDS[0])


@settings(max_examples=20, deadline=None)
@given(legs=st.integers(1, 4), images=st.integers(3, 6), seed=st.integers(0, 2**32 - 1))
def test_paths_come_back(tmp_path_factory: pytest.TempPathFactory, legs: int, images: int, seed: int) -> None:
    folder, rng = tmp_path_factory.mktemp("path"), np.random.default_rng(seed)
    count = legs * (images - 1) + 1
    path = PathResult(
        positions=rng.normal(size=(count, 3, 3)),
        energies_ev=rng.normal(size=count),
        distances_angstrom=rng.normal(size=count),
        slopes_ev_per_angstrom=rng.normal(size=count),
        legs=tuple(
            LegResult(number * images, (number + 1) * images, None if number % 2 else 1, *rng.random(2).tolist(), 7)
            for number in range(legs)
        ),
    )
    path.write(folder)
    assert same(PathResult.read(folder), path)


def test_outcomes_come_back_and_none_is_none(tmp_path: Path) -> None:
    assert Outcome.read(tmp_path) is None
    for outcome in (Outcome("converged", None, 0, 57, 1 / 3), Outcome("many minima", "more than 6 … Å", 2, 9, 0.1)):
        outcome.write(tmp_path)
        assert Outcome.read(tmp_path) == outcome
    assert [path.name for path in tmp_path.iterdir()] == [OUTCOME_FILE]


def test_a_damaged_result_says_so(tmp_path: Path) -> None:
    ENDS[0].write(tmp_path)
    (tmp_path / RESULT_FILE).write_bytes((tmp_path / RESULT_FILE).read_bytes()[:-30])
    with pytest.raises(InputError, match=rf"^{tmp_path / RESULT_FILE}: damaged"):
        EndResult.read(tmp_path)
