from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lzc_flows.crystal.host import aimd_host
from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.dynamics.forces import System
from lzc_flows.dynamics.run import Dynamics
from lzc_flows.dynamics.state import Crystal, State, starting_state
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.errors import InputError
from lzc_flows.trajectory.model import Frame
from lzc_flows.transport import frames as frames_module
from lzc_flows.transport.motion import Motion
from lzc_flows.transport.stability import Stability, stability

HOST = aimd_host().structure
SPECIES = np.array([site.specie.symbol for site in HOST])
CELL = np.array(HOST.lattice.matrix)
LITHIUM, ZIRCONIUM, CHLORINE = (np.flatnonzero(symbol == SPECIES) for symbol in ("Li", "Zr", "Cl"))
FRAMES = 800
SIGMA = 0.15  # of a vibration along an axis, Å


def vibrating(sigma: float = SIGMA) -> NDArray[np.float64]:
    """A harmonic crystal through which lithium diffuses."""
    rng = np.random.default_rng(0)
    positions = HOST.cart_coords + rng.normal(0, sigma, (FRAMES, len(HOST), 3))
    positions[:, LITHIUM] += walk(len(LITHIUM), 0.3)
    return positions


def walk(atoms: int, step: float) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(0, step, (FRAMES, atoms, 3)).cumsum(axis=0)


def octahedron(zirconium: int) -> NDArray[np.int64]:
    """Indices of the chlorine atoms around a zirconium atom."""
    return np.array([site.index for site in HOST.get_neighbors(HOST[zirconium], 3.0) if site.index in CHLORINE])


def outwards(zirconium: int) -> NDArray[np.float64]:
    """Its bonds times 0.6: what takes an anion to 1.6 times the distance."""
    bonds = {site.index: site.coords - HOST[zirconium].coords for site in HOST.get_neighbors(HOST[zirconium], 3.0)}
    return 0.6 * np.array([bonds[index] for index in octahedron(zirconium)])


def nearest(symbol: str) -> float:
    """Mean distance of the framework atoms of a species to the nearest other one, by pymatgen."""
    framework = np.concatenate([ZIRCONIUM, CHLORINE])
    distances = HOST.distance_matrix[np.ix_(np.flatnonzero(symbol == SPECIES), framework)]
    return float(np.sort(distances, axis=1)[:, 1].mean())


def result(positions: NDArray[np.float64], species: NDArray[np.str_] = SPECIES) -> Stability:
    return stability(Motion(positions, 0.01, tuple(species.tolist()), CELL), "Li")


def test_a_crystal_through_which_lithium_diffuses_is_stable() -> None:
    found = result(vibrating())
    assert (found.label, found.intact, found.notes) == ("stable", True, ())
    assert set(found.motion) == {"Zr", "Cl"}
    for symbol, atoms in (("Zr", 9), ("Cl", 54)):
        one = found.motion[symbol]
        assert (one.atoms, one.left) == (atoms, 0)
        assert one.vibration_A2 == pytest.approx((3 * SIGMA**2, 3 * SIGMA**2), rel=0.05)
        # means of 400 independent frames each
        assert one.drift_A2 == pytest.approx(2 * 3 * SIGMA**2 / 400, rel=0.5)
        assert one.neighbour_angstrom == pytest.approx(nearest(symbol), rel=0.02)
        assert one.lindemann == pytest.approx(math.sqrt(3) * SIGMA / nearest(symbol), rel=0.05)
    zirconium = found.coordination["Zr"]
    assert (zirconium.cations, zirconium.exchanged, zirconium.changed) == (9, 0, 0)
    assert zirconium.first == zirconium.last == 6
    assert (zirconium.number == 6).all()
    assert zirconium.number.shape == found.time_ps.shape == (200,)
    assert found.time_ps[-1] == pytest.approx(7.99)
    assert 3.0 < zirconium.cutoff_angstrom["Cl"] < 4.0


def test_large_vibrations_are_noted_but_are_no_melt() -> None:
    found = result(vibrating(0.28))
    assert found.label == "stable"
    assert [note.split(":")[0][:24] for note in found.notes] == ["Lindemann's ratio of Cl ", "Lindemann's ratio of Zr "]


def test_a_drift_of_the_cell_is_no_motion() -> None:
    drift = np.linspace(0, 30, FRAMES)[:, None, None] * np.array([1.0, -2.0, 0.5])
    moved, rested = result(vibrating() + drift), result(vibrating())
    assert moved.label == "stable"
    assert moved.motion["Zr"].vibration_A2 == pytest.approx(rested.motion["Zr"].vibration_A2, rel=1e-6)


def test_a_random_walk_of_all_atoms_is_a_melt() -> None:
    found = result(HOST.cart_coords + walk(len(HOST), 0.3))
    assert (found.label, found.intact) == ("melted", False)
    one = found.motion["Cl"]
    assert one.left > 50
    # of a walk over T: D T/2 about the means of halves, 2 D T between them (6 D T in all)
    growth = 3 * 0.3**2 * FRAMES
    assert np.mean(one.vibration_A2) == pytest.approx(growth / 12, rel=0.15)
    assert one.drift_A2 == pytest.approx(growth / 3, rel=0.3)
    assert one.lindemann > 1


def test_two_anions_that_change_places_are_hops_of_the_framework() -> None:
    positions = vibrating()
    one, other = octahedron(ZIRCONIUM[0])[0], octahedron(ZIRCONIUM[4])[0]
    positions[400:, [one, other]] = positions[400:, [other, one]]
    found = result(positions)
    assert (found.label, found.intact) == ("framework hops", True)
    assert (found.coordination["Zr"].exchanged, found.coordination["Zr"].changed) == (2, 0)
    assert found.motion["Cl"].left == 2


def test_anions_that_change_back_are_no_exchange() -> None:
    positions = vibrating()
    one, other = octahedron(ZIRCONIUM[0])[0], octahedron(ZIRCONIUM[4])[0]
    positions[300:500, [one, other]] = positions[300:500, [other, one]]
    assert result(positions).label == "stable"


def test_an_octahedron_that_turns_keeps_its_anions() -> None:
    positions = vibrating()
    around = octahedron(ZIRCONIUM[2])
    positions[400:, around] = positions[400:, np.roll(around, 1)]
    images = np.rint(HOST.frac_coords[np.roll(around, 1)] - HOST.frac_coords[around])
    positions[400:, around] -= images @ CELL
    found = result(positions)
    assert found.label == "anion rotation"
    assert found.motion["Cl"].left == 6
    assert found.coordination["Zr"].exchanged == 0


def test_anions_that_wander_among_cations_that_stay() -> None:
    positions = vibrating()
    shuffled = np.random.default_rng(5).permutation(CHLORINE)
    positions[300:, CHLORINE] = positions[300:, shuffled]
    found = result(positions)
    assert (found.label, found.intact) == ("anion diffusion", False)
    assert found.coordination["Zr"].exchanged == 9


def test_cations_that_wander_among_anions_that_stay() -> None:
    positions = vibrating()
    positions[300:, ZIRCONIUM[:4]] = positions[300:, ZIRCONIUM[[1, 2, 3, 0]]]
    assert result(positions).label == "cation diffusion"


def test_cations_that_lose_anions_are_decomposing() -> None:
    positions = vibrating()
    for zirconium in ZIRCONIUM[:4]:
        positions[400:, octahedron(zirconium)[:2]] += outwards(zirconium)[:2]
    found = result(positions)
    assert (found.label, found.intact) == ("decomposed", False)
    assert found.coordination["Zr"].changed >= 3
    assert found.motion["Zr"].left == 0


def test_dopants_are_told_apart() -> None:
    species = SPECIES.copy()
    species[ZIRCONIUM[:2]] = "Ti"
    species[octahedron(ZIRCONIUM[0])] = "F"
    found = result(vibrating(), species)
    assert found.label == "stable"
    assert {symbol: one.cations for symbol, one in found.coordination.items()} == {"Ti": 2, "Zr": 7}
    assert set(found.coordination["Ti"].cutoff_angstrom) == {"F", "Cl"}
    assert found.motion["F"].atoms == 6


def test_a_framework_of_anions_alone_melts_with_them() -> None:
    kept = np.concatenate([LITHIUM, CHLORINE])
    assert result(vibrating()[:, kept], SPECIES[kept]).label == "stable"
    melt = result((HOST.cart_coords + walk(len(HOST), 0.3))[:, kept], SPECIES[kept])
    assert (melt.label, melt.coordination) == ("melted", {})


def test_pieces_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = result(vibrating())
    monkeypatch.setattr(frames_module, "_PIECE_BYTES", 37 * len(HOST) * 24)
    pieces = result(vibrating())
    assert pieces.motion["Cl"].vibration_A2 == pytest.approx(whole.motion["Cl"].vibration_A2, rel=1e-9)
    assert (pieces.coordination["Zr"].number == whole.coordination["Zr"].number).all()


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="trajectory of 39 frames: at least 40"):
        result(vibrating()[:39])
    with pytest.raises(InputError, match="species Li: not in the trajectory"):
        result(vibrating(), np.where(SPECIES == "Li", "Na", SPECIES))


class Recorder:
    """Keeps the positions after the heat-up."""

    def __init__(self) -> None:
        self.positions: list[NDArray[np.float64]] = []

    def frame(self, frame: Frame) -> None:
        if frame.time_ps > 1:
            self.positions.append(frame.positions)

    def checkpoint(self, state: State) -> None:
        """Keep none."""

    def stop_requested(self) -> bool:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(("temperature_k", "intact"), [(1000.0, True), (3000.0, False)])
def test_the_host_keeps_its_framework_at_the_temperatures_of_the_source_and_melts_far_above(
    temperature_k: float, intact: bool
) -> None:
    protocol = AimdProtocol(
        segments=(
            Segment(ensemble="nvt", temperature=(100, temperature_k), ps=1, time_step_fs=2),
            Segment(ensemble="nvt", temperature=temperature_k, ps=5, time_step_fs=2),
        ),
        frame_interval_fs=10,
        checkpoint_interval_fs=1000,
    )
    crystal = Crystal(System.of(SPECIES.tolist()), HOST.cart_coords.copy(), CELL.copy())
    recorder = Recorder()
    force_field = MLIPS["nep"].force_field(Ions(tuple(SPECIES.tolist())))
    Dynamics(starting_state(crystal, protocol, 1), protocol, force_field).run(recorder)
    found = result(np.array(recorder.positions))
    assert found.intact == intact
    assert (found.label == "melted") != intact
