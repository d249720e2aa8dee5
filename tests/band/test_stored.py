from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lzc_flows.band.climb import BandState
from lzc_flows.band.lbfgs import Lbfgs
from lzc_flows.band.search import Leg, PathSearch, Potential, SearchState
from lzc_flows.band.stored import read_arrays, read_search, write_arrays, write_search
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.errors import InputError

CELL = 20.0 * np.eye(3)
PROTOCOL = NebProtocol(images=7, fmax_climbing_ev_per_angstrom=1e-5, fmax_band_ev_per_angstrom=1e-4)


def flat(value: Any) -> list[Any]:
    """All that a state holds, down to the arrays' bytes."""
    if isinstance(value, SearchState | Leg | BandState | Lbfgs):
        return [found for field in fields(value) for found in (field.name, *flat(getattr(value, field.name)))]
    if isinstance(value, list | tuple):
        return [found for entry in value for found in flat(entry)]
    if isinstance(value, np.ndarray):
        return [value.shape, value.dtype, value.tobytes()]
    return [value]


@pytest.fixture(scope="module")
def states(analytic: Callable, waves: Callable, between: Callable, keeper: Callable) -> list[SearchState]:
    """After each step of a search over two hills from beside their minima, which splits its band."""
    kept = keeper()
    start, stop = np.array([[0.0, 0.3, -0.2]]), np.array([[4.0, 0.2, 0.1]])
    surface = waves(0.3, 2.0, 0.02)
    field = analytic(surface)
    search = between(field, start, stop, PROTOCOL)
    search.run(200, kept)
    return kept.states


def test_the_search_is_one_with_all_that_a_state_can_hold(states: list[SearchState]) -> None:
    assert len(states[0].legs) == 1 < len(states[-1].legs)
    bands = [leg.band for state in states for leg in state.legs]
    assert {band.alone for band in bands} == {False, True}
    assert {band.climbing is None for band in bands} == {False, True}
    assert any(band.optimiser.last is None for band in bands)
    assert any(not band.optimiser.pairs for band in bands)
    assert any(len(band.optimiser.pairs) > 3 for band in bands)


def test_a_state_comes_back_to_the_last_bit(states: list[SearchState], tmp_path: Path) -> None:
    for number, state in enumerate(states):
        state.legs[0].dips.append(number)
        write_search(tmp_path / "s.npz", state)
        assert flat(read_search(tmp_path / "s.npz")) == flat(state)
        state.legs[0].dips.pop()


def test_a_search_that_is_cut_after_any_step_goes_on_as_the_uncut_one(
    states: list[SearchState], analytic: Callable, waves: Callable, keeper: Callable, tmp_path: Path
) -> None:
    for state in states[::2]:
        write_search(tmp_path / "s.npz", state)
        again = read_search(tmp_path / "s.npz")
        PathSearch(again, Potential(analytic(waves(0.3, 2.0, 0.02)), CELL), PROTOCOL).run(200, keeper())
        assert flat(again) == flat(states[-1])


@pytest.mark.parametrize("damage", ["cut", "empty", "words", "no header", "no JSON", "flipped"])
def test_a_damaged_file_says_so(states: list[SearchState], tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.npz"
    write_search(path, states[5])
    whole = path.read_bytes()
    middle = len(whole) // 2
    if damage == "no header":
        np.savez(path, other=np.zeros(3))
    elif damage == "no JSON":
        np.savez(path, header=np.array("{"))
    else:
        flipped = whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 64]) + whole[middle + 64 :]
        path.write_bytes({"cut": whole[:middle], "empty": b"", "words": b"no archive", "flipped": flipped}[damage])
    with pytest.raises(InputError, match=rf"^{path}: damaged \(.+\); remove its folder to begin anew$") as caught:
        read_search(path)
    assert "\n" not in str(caught.value)


def test_arrays_of_any_shape_with_a_header(tmp_path: Path) -> None:
    arrays = {"empty": np.empty(0), "one": np.array(1.5), "many": np.arange(24.0).reshape(2, 3, 4) / 7}
    header = {"words": ["a", "Å"], "none": None, "third": 1 / 3, "small": 5e-324}
    write_arrays(tmp_path / "new" / "a.npz", header, arrays)
    found_header, found = read_arrays(tmp_path / "new" / "a.npz")
    assert found_header == header
    assert flat([found[name] for name in arrays]) == flat(list(arrays.values()))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.npz"]
