from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.mep.neb import NEB, ImprovedTangentMethod, NEBState
from hypothesis import assume, given
from hypothesis import strategies as st

from lzc_flows.band.forces import band_forces, tangents

seeds = st.integers(0, 100_000)


def random_band(seed: int, images: int = 5, atoms: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, energies and forces of images, the ends included; some energies are equal."""
    generator = np.random.default_rng(seed)
    positions = np.cumsum(generator.normal(size=(images + 2, atoms, 3)), axis=0)
    energies = generator.integers(-4, 5, size=images + 2) / 4
    return positions, energies, generator.normal(size=(images + 2, atoms, 3))


def at(energies: list[float]) -> np.ndarray:
    """Tangent at the middle of three images at (0, 0, 0), (1, 0, 0) and (1, 2, 0)."""
    positions = np.array([[[0.0, 0, 0]], [[1.0, 0, 0]], [[1.0, 2, 0]]])
    return tangents(positions, np.array(energies))[0, 0]


@pytest.mark.parametrize(
    ("energies", "ahead", "behind"),
    [
        ([0.0, 1.0, 2.0], 1, 0),  # eq. 8: towards the higher neighbour
        ([2.0, 1.0, 0.0], 0, 1),
        ([0.0, 3.0, 1.0], 3, 2),  # eq. 10: a maximum, more of the side of the higher neighbour
        ([1.0, 3.0, 0.0], 2, 3),
        ([3.0, 0.0, 1.0], 1, 3),  # a minimum
        ([1.0, 0.0, 3.0], 3, 1),
        ([0.0, 2.0, 0.0], 1, 1),
        ([1.0, 1.0, 2.0], 1, 0),
        ([1.0, 1.0, 1.0], 1, 1),  # where ASE has no tangent at all
    ],
)
def test_the_cases_of_the_paper(energies: list[float], ahead: int, behind: int) -> None:
    expected = ahead * np.array([0, 2.0, 0]) + behind * np.array([1.0, 0, 0])
    np.testing.assert_allclose(at(energies), expected / np.linalg.norm(expected), rtol=1e-14)


@given(seeds)
def test_tangents_are_those_of_ase(seed: int) -> None:
    positions, energies, _ = random_band(seed)
    images = [Atoms("H3", positions=each) for each in positions]
    neb = NEB(images, method="improvedtangent")
    state = NEBState(neb, images, energies)
    method = ImprovedTangentMethod(neb)
    springs = [state.spring(i) for i in range(len(images) - 1)]
    found = tangents(positions, energies)
    for i in range(1, len(images) - 1):
        expected = method.get_tangent(state, springs[i - 1], springs[i], i)
        if energies[i - 1] == energies[i] == energies[i + 1]:
            assert (expected == 0).all()
        else:
            np.testing.assert_allclose(found[i - 1], expected, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=(1, 2)), 1, rtol=1e-12)


@given(seeds, st.booleans())
def test_nudged_forces_are_those_of_ase(seed: int, climb: bool) -> None:
    positions, energies, forces = random_band(seed)
    energies = energies + 1e-3 * np.random.default_rng(seed).normal(size=len(energies))
    climbing = int(energies[1:-1].argmax())
    images = [Atoms("H3", positions=each) for each in positions]
    for image, energy, force in zip(images, energies, forces, strict=True):
        image.calc = SinglePointCalculator(image, energy=energy, forces=force)
    expected = NEB(images, k=1.7, climb=climb, method="improvedtangent").get_forces().reshape(-1, 3, 3)
    tangent = tangents(positions, energies)
    found = band_forces(positions, tangent, forces[1:-1], 1.7, climbing if climb else None)
    np.testing.assert_allclose(found, expected, atol=1e-10)


@given(seeds)
def test_springs_pull_along_the_tangent_only_and_the_climbing_image_goes_uphill(seed: int) -> None:
    positions, energies, forces = random_band(seed)
    tangent, true = tangents(positions, energies), forces[1:-1]
    found = band_forces(positions, tangent, true, 2.0, 3)
    along, before = (found * tangent).sum(axis=(1, 2)), (true * tangent).sum(axis=(1, 2))
    across = true - before[:, None, None] * tangent
    np.testing.assert_allclose(found - along[:, None, None] * tangent, across, atol=1e-12)
    lengths = np.linalg.norm(np.diff(positions, axis=0), axis=(1, 2))
    expected = 2.0 * np.diff(lengths)
    expected[3] = -before[3]
    np.testing.assert_allclose(along, expected, atol=1e-12)


@given(seeds, st.integers(0, 5))
def test_the_way_back_has_the_same_forces(seed: int, climbing: int) -> None:
    positions, energies, forces = random_band(seed, images=6)
    energies = energies + 1e-3 * np.random.default_rng(seed).normal(size=len(energies))
    assume(len(set(energies)) == len(energies))
    there, back = tangents(positions, energies), tangents(positions[::-1], energies[::-1])
    np.testing.assert_allclose(back, -there[::-1], atol=1e-12)
    one = band_forces(positions, there, forces[1:-1], 1.0, climbing)
    other = band_forces(positions[::-1], back, forces[1:-1][::-1], 1.0, 5 - climbing)
    np.testing.assert_allclose(other[::-1], one, atol=1e-12)
