from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.core import Lattice

from lzc_flows.errors import InputError
from lzc_flows.transport import frames as frames_module
from lzc_flows.transport.density import Density, probability_density
from lzc_flows.transport.motion import Motion

CELL = np.array(Lattice.from_parameters(4.1, 5.3, 3.7, 81, 97, 114).matrix)
SPECIES = ("Li", "Cl", "Li", "Zr")


def make_motion(positions: NDArray[np.float64], cell: NDArray[np.float64] = CELL) -> Motion:
    return Motion(positions, 0.1, SPECIES, cell)


def resting(ions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ions (frames, 2, 3) and a framework that rests."""
    positions = np.zeros((len(ions), 4, 3))
    positions[:, [0, 2]] = ions
    positions[:, 3] = 1.0
    return positions


def shared(points: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Number of points at each node, another way: the product of three hats around every node."""
    grid = np.zeros(shape)
    for node in itertools.product(*(range(n) for n in shape)):
        away = points * shape - node
        away -= np.rint(away / shape) * shape
        grid[node] = np.clip(1 - np.abs(away), 0, None).prod(axis=1).sum()
    return grid


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 1.3))
def test_every_ion_is_shared_among_the_nodes_around_it(seed: int, resolution: float) -> None:
    ions = np.random.default_rng(seed).normal(0, 5, (6, 2, 3))
    found = probability_density(make_motion(resting(ions)), "Li", resolution)
    points = ions.reshape(-1, 3) @ np.linalg.inv(CELL)
    expected = shared(points, found.per_angstrom3.shape) / 6 / found.voxel_angstrom3
    np.testing.assert_allclose(found.per_angstrom3, expected, atol=1e-12)
    assert found.per_angstrom3.sum() * found.voxel_angstrom3 == pytest.approx(2, rel=1e-12)
    for half in found.halves:
        assert half.sum() * found.voxel_angstrom3 == pytest.approx(2, rel=1e-12)
    np.testing.assert_allclose(sum(found.halves) / 2, found.per_angstrom3, atol=1e-12)


def test_a_drift_and_the_choice_of_images_change_nothing() -> None:
    rng = np.random.default_rng(1)
    positions = resting(rng.normal(0, 5, (400, 2, 3)))
    plain = probability_density(make_motion(positions), "Li")
    drifting = positions + rng.normal(0, 1, (400, 1, 3)).cumsum(axis=0)
    drifting -= drifting[0, 3] - positions[0, 3]
    drifting[:, 2] += np.array([3, -2, 1]) @ CELL
    np.testing.assert_allclose(
        probability_density(make_motion(drifting), "Li").per_angstrom3, plain.per_angstrom3, atol=1e-9
    )


def test_pieces_make_the_same_density(monkeypatch: pytest.MonkeyPatch) -> None:
    motion = make_motion(resting(np.random.default_rng(1).normal(0, 5, (401, 2, 3))))
    whole = probability_density(motion, "Li")
    monkeypatch.setattr(frames_module, "_PIECE_BYTES", 7 * 4 * 3 * 8)
    pieces = probability_density(motion, "Li")
    np.testing.assert_allclose(pieces.halves, whole.halves, rtol=1e-12)
    assert pieces.effective_samples == pytest.approx(whole.effective_samples, rel=1e-9)


def test_a_vibrating_ion_has_the_density_of_its_normal_distribution() -> None:
    """A grid with nodes h apart adds h²/6 to the variance."""
    cell, sigma, spacing = 6.0 * np.eye(3), 0.35, 0.2
    rng = np.random.default_rng(2)
    positions = np.zeros((60_000, 2, 3))
    positions[:, 0] = 3 + rng.normal(0, sigma, (60_000, 3))
    found = probability_density(Motion(positions, 0.1, ("Li", "Cl"), cell), "Li", spacing)
    variance = sigma**2 + spacing**2 / 6
    nodes = np.stack(np.meshgrid(*[0.2 * np.arange(30)] * 3, indexing="ij"), axis=-1)
    expected = np.exp(-((nodes - 3) ** 2).sum(axis=-1) / (2 * variance)) / (2 * np.pi * variance) ** 1.5
    # counts of some 600 at the highest node
    assert found.per_angstrom3[15, 15, 15] == pytest.approx(expected[15, 15, 15], rel=0.1)
    assert np.abs(found.per_angstrom3 - expected).sum() * found.voxel_angstrom3 < 0.1
    spread = ((nodes - 3) ** 2).sum(axis=-1) * found.per_angstrom3 * found.voxel_angstrom3
    assert spread.sum() == pytest.approx(3 * variance, rel=0.02)


def effective(ions: NDArray[np.float64]) -> float:
    return probability_density(make_motion(resting(ions)), "Li").effective_samples


def test_independent_samples_count_fully_and_repeated_ones_once() -> None:
    rng = np.random.default_rng(3)
    ions = rng.normal(0, 0.8, (8000, 2, 3))
    assert effective(ions) == pytest.approx(16_000, rel=0.1)
    assert effective(np.repeat(ions[:1600], 5, axis=0)) == pytest.approx(3200, rel=0.1)


def test_an_ion_that_hops_once_is_few_samples() -> None:
    ions = np.random.default_rng(4).normal(0, 0.1, (8000, 2, 3))
    ions[4000:] += 2.0
    assert effective(ions) < 10


def test_a_resting_ion_counts_no_more_than_there_are_frames() -> None:
    assert effective(np.full((100, 2, 3), 0.3)) == 200


def test_samples_of_a_node_follow_from_its_share_of_the_ions() -> None:
    values = np.zeros((2, 2, 5))
    values[0, 0] = [8, 2, 4, 4, 2]
    density = Density(values / 2, (values, values), 2.0 * np.eye(3), "Li", 4, 100, 50.0, operations=3)
    # voxels of 0.4 Å³: the highest holds 1.6 of 4 ions, so 0.4 of 50 samples, times three operations
    assert density.samples_per_node(1.0) == pytest.approx(60)
    assert density.samples_per_node(0.1) == pytest.approx(6)


def test_bad_input_is_refused() -> None:
    motion = make_motion(resting(np.zeros((3, 2, 3))))
    with pytest.raises(InputError, match="species Na"):
        probability_density(motion, "Na")
    with pytest.raises(InputError, match=r"resolution 0\.0 Å"):
        probability_density(motion, "Li", 0.0)
