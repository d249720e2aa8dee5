from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lzc_flows.errors import InputError
from lzc_flows.transport.density import Density, probability_density
from lzc_flows.transport.density_connectivity import connectivity
from lzc_flows.transport.motion import Motion

LATTICE = np.diag([4.0, 5.0, 6.0])


def make_density(
    values: NDArray[np.float64], halves: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
) -> Density:
    return Density(values, halves or (values, values), LATTICE, "Li", 4, 1000, 1e7)


def waves(*depths: float) -> NDArray[np.float64]:
    """A product of waves, each exp(−depth) of its maximum between its sites."""
    fractional = np.meshgrid(*(np.arange(n) / n for n in (12, 14, 16)), indexing="ij")
    return 3 * np.exp(-sum(d * np.sin(np.pi * x) ** 2 for d, x in zip(depths, fractional, strict=True)))


def test_levels_are_those_between_the_sites() -> None:
    found = connectivity(make_density(waves(1.0, 3.0, 6.0)))
    expected = {"a": -1.0, "b": -3.0, "c": -6.0, "ab": -3.0, "1d": -1.0, "2d": -3.0, "3d": -6.0}
    assert found.levels == pytest.approx({target: np.exp(level) for target, level in expected.items()}, rel=1e-9)
    # ln 50 is 3.9
    assert [target for target, percolates in found.percolates.items() if not percolates] == ["3d", "c"]
    assert found.levels_of_halves == (found.levels, found.levels)
    assert found.notes == ()


def test_the_fraction_decides() -> None:
    density = make_density(waves(1.0, 3.0, 6.0))
    assert not connectivity(density, 0.5).percolates["a"]
    assert connectivity(density, 0.3).percolates["a"]
    assert connectivity(density, 1e-3).percolates["3d"]


def test_where_no_ion_was_nothing_connects() -> None:
    values = np.zeros((6, 6, 6))
    values[2, 3] = [1, 0.5, 0.25, 0.1, 0.25, 0.5]
    found = connectivity(make_density(values))
    assert found.levels["c"] == found.levels["1d"] == pytest.approx(0.1, rel=1e-12)
    assert [found.levels[target] for target in ("a", "b", "ab", "2d", "3d")] == [0] * 5
    assert found.percolates == {target: target in ("c", "1d") for target in found.levels}


def test_doubt_is_told() -> None:
    shallow, deep = waves(1.0, 3.0, 3.0), waves(1.0, 3.0, 6.0)
    found = connectivity(make_density(shallow, (shallow, deep)))
    assert found.notes == ("the two halves of the trajectory disagree on whether it connects: 3d, c",)


def test_a_single_hop_connects_and_is_called_noise() -> None:
    """One ion of nine hops once, to its image in the next cell, in 120 frames of 1000."""
    rng = np.random.default_rng(0)
    positions = rng.uniform([1.6, 0, 0], [2.4, 5, 6], (10, 3)) + rng.normal(0, 0.3, (1000, 10, 3))
    positions[:, 9] = 0
    positions[440:560, 0] = positions[:, 0].mean(axis=0)
    positions[:, 0, 2] += np.interp(np.arange(1000), [440, 560], [0, LATTICE[2, 2]])
    found = connectivity(
        probability_density(Motion(positions, 0.01, ("Li",) * 9 + ("Cl",), LATTICE), "Li", resolution_angstrom=0.25)
    )
    assert found.percolates["c"]
    assert not found.percolates["a"]
    assert found.samples_per_node < 5
    assert "is noise" in found.notes[0]


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_fractions_that_enclose_nothing_or_all_are_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        connectivity(make_density(waves(1, 1, 1)), fraction)
