from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.band.lbfgs import CURVATURE_EV, LONGEST_STEP_ANGSTROM, MEMORY, Lbfgs, shortened


def stiffness(seed: int, size: int, softest: float, hardest: float) -> np.ndarray:
    """A random symmetric matrix with eigenvalues between these."""
    generator = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(generator.normal(size=(size, size)))
    return (axes * np.linspace(softest, hardest, size)) @ axes.T


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_a_quadratic_minimum_is_found_in_few_steps(seed: int, atoms: int) -> None:
    """Exact to rounding, for as many steps as are remembered span the space (without line searches, not 3n + 1)."""
    hessian = stiffness(seed, 3 * atoms, 2.0, 60.0)
    generator = np.random.default_rng(seed + 1)
    minimum, positions = generator.normal(size=(2, atoms, 3))
    optimiser, steps = Lbfgs(longest_step_angstrom=10.0), 0
    while np.abs(forces := -(hessian @ (positions - minimum).ravel()).reshape(atoms, 3)).max() > 1e-9:
        positions = positions + optimiser.step(positions, forces)
        steps += 1
        assert steps <= 8 * atoms + 12
    np.testing.assert_allclose(positions, minimum, atol=1e-9)


def test_the_first_step_is_downhill_by_the_assumed_curvature() -> None:
    forces = np.array([[1.0, 0, 0], [0, -0.5, 0.2]])
    np.testing.assert_allclose(Lbfgs().step(np.zeros((2, 3)), forces), forces / CURVATURE_EV, rtol=1e-15)


def test_the_second_step_of_one_atom_on_a_spring_lands_in_the_minimum() -> None:
    """One remembered pair is the whole inverse Hessian."""
    optimiser, place, stiff = Lbfgs(1.0), np.array([[0.3, -0.2, 0.1]]), 7.0
    first = optimiser.step(place, -stiff * place)
    np.testing.assert_allclose(place + first, place * (1 - stiff / CURVATURE_EV), rtol=1e-14)
    place = place + first
    np.testing.assert_allclose(optimiser.step(place, -stiff * place), -place, rtol=1e-12)


@given(st.integers(0, 10_000), st.floats(1e-3, 1e4), st.floats(0.01, 0.5))
def test_no_atom_moves_farther_than_the_bound_and_the_way_is_downhill(seed: int, scale: float, bound: float) -> None:
    """On any field of forces, one that no energy has included."""
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(12, 12))
    positions, optimiser = generator.normal(size=(4, 3)), Lbfgs(bound)
    for _ in range(MEMORY + 5):
        forces = scale * (matrix @ np.sin(positions).ravel()).reshape(4, 3)
        step = optimiser.step(positions, forces)
        assert np.linalg.norm(step, axis=1).max() <= bound * (1 + 1e-12)
        assert (step * forces).sum() > 0
        positions = positions + step
        assert len(optimiser.pairs) <= MEMORY


def test_negative_curvature_makes_it_forget() -> None:
    """On a hilltop forces grow along the way: the next step is that of a new optimiser."""
    optimiser, place = Lbfgs(), np.array([[0.1, 0.0, 0.0]])
    place = place + optimiser.step(place, -3.0 * place)
    place = place + optimiser.step(place, -3.0 * place)
    assert len(optimiser.pairs) == 1
    last = optimiser.last[1]
    forces = last + 0.5 * (place - optimiser.last[0])
    np.testing.assert_array_equal(optimiser.step(place, forces), Lbfgs().step(place, forces))
    assert optimiser.pairs == []


def test_one_image_alone_keeps_what_is_known_of_it() -> None:
    """Images that do not feel each other: alone, the step is that of an optimiser that saw this image only."""
    generator = np.random.default_rng(3)
    hessian = stiffness(4, 6, 3.0, 30.0)
    path = 0.1 * generator.normal(size=(3, 2, 3))
    together, alone = Lbfgs(), Lbfgs()
    for _ in range(6):
        forces = -(path.reshape(3, 6) @ hessian).reshape(path.shape)
        alone.step(path[[1]], forces[[1]])
        path = path + together.step(path, forces)
    forces = -(path.reshape(3, 6) @ hessian).reshape(path.shape)
    alone.last = None
    assert len(together.of_image(1).pairs) == len(alone.pairs) == 5
    np.testing.assert_allclose(
        together.of_image(1).step(path[[1]], forces[[1]]), alone.step(path[[1]], forces[[1]]), rtol=1e-12
    )


def test_one_image_alone_forgets_steps_of_negative_curvature() -> None:
    moved = np.array([[[0.1, 0, 0]], [[0.1, 0, 0]]])
    change = np.array([[[2.0, 0, 0]], [[-1.0, 0, 0]]])
    optimiser = Lbfgs(0.05, [(moved, change)])
    assert len(optimiser.of_image(0).pairs) == 1
    assert optimiser.of_image(1).pairs == []
    assert optimiser.of_image(1).longest_step_angstrom == optimiser.anew().longest_step_angstrom == 0.05


def test_a_short_step_is_left_and_a_long_one_keeps_its_direction() -> None:
    step = np.array([[0.1, 0, 0], [0, 0.05, 0]])
    assert shortened(step, LONGEST_STEP_ANGSTROM) is step
    np.testing.assert_allclose(shortened(10 * step, 0.2), 2 * step, rtol=1e-14)
    assert (shortened(0 * step, 0.2) == 0).all()
