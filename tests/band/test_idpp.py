from __future__ import annotations

import numpy as np
from ase.geometry import get_distances

from lzc_flows.band.idpp import idpp
from lzc_flows.band.path import linear


def pair_errors(path: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """How wrong the pair distances of each image are against interpolated ones, weighted as the potential has it."""
    distances = np.array([get_distances(each, cell=cell, pbc=True)[1] for each in path])
    upper = np.triu_indices(path.shape[1], k=1)
    pairs = distances[:, upper[0], upper[1]]
    wanted = np.linspace(pairs[0], pairs[-1], len(path))
    return ((pairs - wanted) ** 2 / pairs**4).sum(axis=1)


def test_idpp_keeps_the_ends_and_goes_around_an_atom() -> None:
    """A lithium whose straight way leads close by another atom."""
    cell = np.diag([9.0, 8.0, 8.0])
    initial = np.array([[1.0, 4.0, 4.0], [4.0, 4.5, 4.2], [8.0, 1.0, 4.0], [7.5, 7.0, 1.0]])
    final = initial.copy()
    final[0] = [7.0, 4.0, 4.0]
    straight = linear(initial, final, 5)
    found = idpp(straight, cell)
    assert found.shape == straight.shape
    np.testing.assert_array_equal(found[[0, -1]], straight[[0, -1]])
    assert (pair_errors(found, cell)[1:-1] < pair_errors(straight, cell)[1:-1]).all()

    def closest(path: np.ndarray) -> float:
        return float(np.linalg.norm(path[:, 0] - path[:, 1], axis=1).min())

    assert closest(straight) < 0.6
    assert closest(found) > 1.2


def test_idpp_leaves_unwrapped_positions_where_they_are() -> None:
    """A hop through the cell's face stays a short hop."""
    cell = np.diag([6.0, 6.0, 6.0])
    initial = np.array([[5.0, 3.0, 3.0], [2.0, 0.5, 3.2]])
    final = initial + np.array([[2.5, 0, 0], [0, 0, 0]])
    found = idpp(linear(initial, final, 3), cell)
    assert np.linalg.norm(np.diff(found[:, 0], axis=0), axis=1).max() < 1.5
    np.testing.assert_array_equal(found[-1], final)
