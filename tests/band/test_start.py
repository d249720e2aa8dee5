"""Where bands start: past what is in the way, on the lower side."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from scipy.ndimage import label

from lzc_flows.band.search import PathSearch, Potential, SearchState, new_leg
from lzc_flows.band.settle import SettleLimits, settle
from lzc_flows.band.start import MOST_STEPS, bent_start
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.dynamics.forces import Forces
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS

CELL = 12.0 * np.eye(3)


class TwoGates:
    """An ion that goes from x = -1 to 1 between two atoms on the y axis, by a gate at z > 0 or one at z < 0.

    At x = 0 the energy is 0.6 (z² − 0.64)² − tilt z, elsewhere a trough along z = 0: straight on is a ridge.
    """

    def __init__(self, tilt: float) -> None:
        self.tilt, self.evaluations = tilt, 0

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        self.evaluations += 1
        x, y, z = positions[0]
        window = np.exp(-4 * x * x)
        gate = 0.6 * (z * z - 0.64) ** 2 - self.tilt * z
        energy = 0.5 * (x * x - 1) ** 2 + 2 * y * y + window * gate + (1 - window) * z * z
        forces = np.zeros_like(positions)
        forces[0] = (
            -2 * x * (x * x - 1) + 8 * x * window * (gate - z * z),
            -4 * y,
            -window * (2.4 * z * (z * z - 0.64) - self.tilt) - (1 - window) * 2 * z,
        )
        return Forces(float(energy), forces)

    evaluate_with_virial = evaluate

    def evaluate_many(self, positions: np.ndarray, cell: np.ndarray) -> list[Forces]:
        return [self.evaluate(each, cell) for each in positions]


def ends() -> np.ndarray:
    atoms = np.array([[-1.0, 0.0, 0.0], [0.0, 1.8, 0.0], [0.0, -1.8, 0.0]])
    final = atoms.copy()
    final[0, 0] = 1.0
    return np.array([atoms, final]) + 6.0


class Shifted(TwoGates):
    """The same in the middle of the cell."""

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        return super().evaluate(positions - 6.0, cell)


@pytest.mark.parametrize("tilt", [0.1, -0.1])
def test_the_middle_goes_through_the_lower_gate(tilt: float) -> None:
    field = Shifted(tilt)
    start = bent_start(ends(), 5, Potential(field, CELL))
    assert start.evaluations == field.evaluations <= 2 * MOST_STEPS
    x, y, z = start.path[3, 0] - 6.0
    assert x == pytest.approx(0, abs=0.05)  # relaxed across the way only
    assert z == pytest.approx(np.sign(tilt) * 0.83, abs=0.1)
    assert abs(y) < 0.05
    np.testing.assert_array_equal(start.path[[0, -1]], ends())
    # the images between follow in a bow, and atoms that do not hop stay
    assert (np.sign(tilt) * (start.path[1:-1, 0, 2] - 6.0) > 0.2).all()
    np.testing.assert_allclose(start.path[:, 1:], np.broadcast_to(ends()[0, 1:], (7, 2, 3)), atol=0.3)


class Nobody:
    def step(self, state: SearchState) -> None:
        pass


def lowest_pass(tilt: float) -> float:
    """The lowest level at which the two ends are joined, from a grid of the plane y = 0 in steps of 5 mÅ."""
    x, z = np.meshgrid(np.arange(-1.2, 1.2001, 0.005), np.arange(-1.5, 1.5001, 0.005), indexing="ij")
    window = np.exp(-4 * x * x)
    gate = 0.6 * (z * z - 0.64) ** 2 - tilt * z
    energies = 0.5 * (x * x - 1) ** 2 + window * gate + (1 - window) * z * z
    ends_at = [tuple(round(v / 0.005) for v in (sign + 1.2, 1.5)) for sign in (-1, 1)]

    def joined(level: float) -> bool:
        regions, _ = label(energies <= level)
        first, last = (regions[place] for place in ends_at)
        return bool(first and first == last)

    low, high = 0.1, 1.0
    while high - low > 1e-4:
        low, high = (low, (low + high) / 2) if joined((low + high) / 2) else ((low + high) / 2, high)
    return high


@pytest.mark.parametrize("tilt", [0.1, -0.1])
def test_the_search_from_there_finds_the_lowest_pass(tilt: float) -> None:
    """The straight way's ridge is at 0.5 + 0.6 0.64² = 0.746."""
    potential = Potential(Shifted(tilt), CELL)
    # the trough lies a little aside of z = 0 at the ends: relaxed as for any band
    both = [settle(end, CELL, potential.force_field, SettleLimits(0.001, 300)) for end in ends()]
    start = bent_start(np.array([end.positions for end in both]), 7, potential)
    leg = new_leg(start.path, (both[0].energy_ev, both[1].energy_ev), potential)
    search = PathSearch(SearchState([leg]), potential, NebProtocol(images=7))
    search.run(300, Nobody())
    highest = max(leg.band.energies_ev.max() for leg in search.state.legs)
    assert highest == pytest.approx(lowest_pass(tilt), abs=2e-3)
    assert highest < 0.6


def test_lithium_in_lithium_chloride_goes_by_way_of_the_tetrahedron() -> None:
    """Rock salt, NEP89: 0.725 eV over the edge that the octahedra share, 0.596 eV aside (test_known_cases)."""
    atoms = bulk("LiCl", "rocksalt", a=5.13, cubic=True).repeat(2)
    lithium = [atom.index for atom in atoms if atom.symbol == "Li"]
    hops = lithium[int(np.argsort(atoms.get_distances(lithium[0], lithium, mic=True))[1])]
    way = atoms.get_distance(hops, lithium[0], mic=True, vector=True)
    del atoms[lithium[0]]
    unrelaxed = atoms.positions.copy()
    unrelaxed[hops - 1] += way
    potential = Potential(MLIPS["nep"].force_field(Ions(tuple(atoms.get_chemical_symbols()))), atoms.cell.array)
    limits = SettleLimits(0.005, 300)
    first, last = (settle(each, potential.cell, potential.force_field, limits) for each in (atoms.positions, unrelaxed))
    start = bent_start(np.array([first.positions, last.positions]), 5, potential)
    leg = new_leg(start.path, (first.energy_ev, last.energy_ev), potential)

    search = PathSearch(SearchState([leg]), potential, NebProtocol(images=5))
    search.run(200, Nobody())
    barrier = max(leg.band.energies_ev.max() for leg in search.state.legs) - first.energy_ev
    assert barrier == pytest.approx(0.596, abs=5e-3)
