from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from lzc_flows.crystal.host import aimd_host
from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.documents.base import EngineStamp
from lzc_flows.dynamics.checkpoint import RunIdentity, read_checkpoint, write_checkpoint
from lzc_flows.dynamics.forces import ForceField, Forces, System
from lzc_flows.dynamics.run import Dynamics
from lzc_flows.dynamics.state import Crystal, State, starting_state, thermal_state
from lzc_flows.dynamics.watch import ExplosionError
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.trajectory.model import Frame

EVERYTHING = AimdProtocol(
    segments=(
        Segment(ensemble="nvt", temperature=(20, 60), ps=0.04, time_step_fs=4),
        Segment(ensemble="npt", temperature=60, ps=0.08, time_step_fs=2),
        Segment(ensemble="nvt", temperature=60, ps=0.04, time_step_fs=4),
        Segment(ensemble="nve", temperature=60, ps=0.04, time_step_fs=4),
        Segment(ensemble="npt", temperature=(60, 30), ps=0.04, time_step_fs=2),
    ),
    frame_interval_fs=8,
    checkpoint_interval_fs=16,
)
STEPS = 10 + 40 + 10 + 10 + 20
STAMP = EngineStamp(name="test", version="1")


def state_bytes(state: State) -> dict[str, bytes | int]:
    arrays = {name: getattr(state, name) for name in ("positions", "velocities", "cell", "cell_sum")}
    arrays |= {name: np.array(value) for name, value in vars(state.extended).items()}
    return {**{name: array.tobytes() for name, array in arrays.items()}, "step": state.step, "n": state.cell_count}


def frame_bytes(frames: Sequence[Frame]) -> list[list[bytes]]:
    return [[np.array(value).tobytes() for value in vars(frame).values()] for frame in frames]


def interrupted(
    start: State,
    protocol: AimdProtocol,
    make: Callable[[], ForceField],
    splits: Sequence[int],
    folder: Path,
    recorder: type,
) -> tuple[State, list[Frame]]:
    """Run by a protocol, but stop at some steps, and go on from a file with an engine started anew."""
    crystal = Crystal(start.system, start.positions.copy(), start.cell.copy())
    identity = RunIdentity.of(crystal, protocol, STAMP, start.seed)
    state, frames = start, []
    for split in (*splits, None):
        dynamics = Dynamics(state, protocol, make())
        observer = recorder(stop_before=lambda at=split, run=dynamics: run.state.step == at)
        if not frames:
            frames.append(dynamics.frame())
        finished = dynamics.run(observer)
        assert finished == (split is None)
        assert observer.checkpoints[-1] == (protocol_steps(protocol) if split is None else split)
        frames += observer.frames
        write_checkpoint(folder / "checkpoint.npz", dynamics.state, identity)
        state = read_checkpoint(folder / "checkpoint.npz", start.system, identity)
    return state, frames


def protocol_steps(protocol: AimdProtocol) -> int:
    return sum(segment.steps for segment in protocol.segments)


# inside a ramp, at and beside the ends of segments, in both halves of npt, between frames, one after the other
@pytest.mark.parametrize(
    "splits", [(3,), (10,), (11, 12), (30,), (37, 45), (49,), (50,), (51, 60, 70, 71), (89,)], ids=str
)
def test_a_run_that_is_cut_is_the_uncut_run(
    splits: tuple[int, ...],
    argon: Callable[..., Crystal],
    lennard_jones: ForceField,
    recorder: type,
    tmp_path: Path,
) -> None:
    runs = []
    for at in ((), splits):
        start = starting_state(argon(), EVERYTHING, seed=3)
        runs.append(interrupted(start, EVERYTHING, lambda: lennard_jones, at, tmp_path, recorder))
    (whole, frames), (cut, cut_frames) = runs
    assert state_bytes(cut) == state_bytes(whole)
    assert frame_bytes(cut_frames) == frame_bytes(frames)
    assert [frame.step for frame in frames][:8] == [0, 2, 4, 6, 8, 10, 14, 18]
    np.testing.assert_allclose([frame.time_ps for frame in frames], 0.008 * np.arange(len(frames)), atol=1e-12)
    assert frames[-1].step == whole.step == STEPS


def host_start(protocol: AimdProtocol, seed: int = 1) -> State:
    structure = aimd_host().structure
    system = System.of([site.specie.symbol for site in structure])
    return starting_state(Crystal(system, structure.cart_coords, structure.lattice.matrix), protocol, seed)


@pytest.mark.parametrize(("engine", "parts"), [("nep", 10), pytest.param("chgnet", 1, marks=pytest.mark.slow)])
def test_a_cut_run_of_the_host_is_the_uncut_one(engine: str, parts: int, recorder: type, tmp_path: Path) -> None:
    """The real engines, started anew at each cut: in the ramp, at the segments' ends, within npt."""
    protocol = AimdProtocol(
        segments=(
            Segment(ensemble="nvt", temperature=(800, 900), ps=0.004 * parts, time_step_fs=2),
            Segment(ensemble="nvt", temperature=900, ps=0.004 * parts, time_step_fs=2),
            Segment(ensemble="npt", temperature=900, ps=0.004 * parts, time_step_fs=2),
            Segment(ensemble="nvt", temperature=900, ps=0.004 * parts, time_step_fs=2),
        ),
        frame_interval_fs=4,
        checkpoint_interval_fs=4,
    )
    splits = sorted({parts, 2 * parts, 3 * parts, 5 * parts, 6 * parts, 7 * parts})
    runs = []
    for at in ((), splits):
        start = host_start(protocol)

        def force_field(species: tuple[str, ...] = start.system.species) -> ForceField:
            return MLIPS[engine].force_field(Ions(tuple(species)))

        runs.append(interrupted(start, protocol, force_field, at, tmp_path, recorder))
    (whole, frames), (cut, cut_frames) = runs
    assert state_bytes(cut) == state_bytes(whole)
    assert frame_bytes(cut_frames) == frame_bytes(frames)


def test_the_conserved_quantity_holds_over_ramps_and_segments(
    argon: Callable[..., Crystal], lennard_jones: ForceField, recorder: type
) -> None:
    """All work is in the books: of a changing target, of a barostat that ends, of the mean cell."""
    spreads = []
    for halvings in (1, 2, 3):
        state = starting_state(argon(), EVERYTHING, seed=3)
        for _ in range(halvings):
            state = state.halved()
        dynamics = Dynamics(state, EVERYTHING, lennard_jones)
        observer = recorder()
        observer.frames.append(dynamics.frame())
        dynamics.run(observer)
        assert (state.step, state.protocol_step) == (STEPS * 2**halvings, STEPS)
        energies = np.array([[frame.conserved_ev, frame.kinetic_ev] for frame in observer.frames])
        assert np.ptp(energies[:, 1]) > 0.05
        spreads.append(np.std(energies[:, 0]))
        # frames keep their steps and times whatever the time step
        assert [frame.step for frame in observer.frames][:8] == [0, 2, 4, 6, 8, 10, 14, 18]
    # of 32 atoms; on this ramp, within the chain's time constant, higher orders still show at first
    assert spreads[0] < 2e-5
    assert spreads[1] / spreads[0] < 1 / 4
    assert spreads[2] / spreads[1] == pytest.approx(1 / 4, rel=0.2)


def test_nvt_after_npt_takes_the_mean_cell_of_its_second_half(
    argon: Callable[..., Crystal], lennard_jones: ForceField
) -> None:
    state = starting_state(argon(), EVERYTHING, seed=3)
    dynamics = Dynamics(state, EVERYTHING, lennard_jones)
    cells = []
    while state.step < 50:
        dynamics.advance()
        cells.append(state.cell.copy())
    dynamics.advance()
    np.testing.assert_allclose(state.cell, np.mean(cells[30:50], axis=0), rtol=1e-13)
    assert not state.extended.strain_rate.any()


def test_the_centre_of_mass_rests_all_the_way() -> None:
    """EMT's copper, through ASE's calculator as an engine."""
    copper = bulk("Cu", cubic=True).repeat((2, 2, 2))
    calculator = EMT()

    class Emt:
        def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
            atoms = copper.copy()
            atoms.positions, atoms.cell = positions, cell
            atoms.calc = calculator
            return Forces(atoms.get_potential_energy(), atoms.get_forces())

        evaluate_with_virial = evaluate

    protocol = AimdProtocol(
        segments=(
            Segment(ensemble="nvt", temperature=(100, 600), ps=0.2, time_step_fs=5),
            Segment(ensemble="nve", temperature=600, ps=0.6, time_step_fs=5),
        )
    )
    system = System.of(copper.get_chemical_symbols())
    state = starting_state(Crystal(system, copper.positions, copper.cell.array), protocol, 0)
    dynamics = Dynamics(state, protocol, Emt())
    centre = system.masses_amu @ state.positions / system.masses_amu.sum()
    energies = []
    while not dynamics.finished:
        dynamics.advance()
        energies.append(dynamics.frame().conserved_ev)
    np.testing.assert_allclose(system.masses_amu @ state.velocities, 0, atol=1e-12)
    np.testing.assert_allclose(system.masses_amu @ state.positions / system.masses_amu.sum(), centre, atol=1e-11)
    # nve: no drift within the wobble, which is 0.1 meV an atom
    held = np.array(energies[40:])
    slope = np.polyfit(np.linspace(0, 1, len(held)), held, 1)[0]
    assert abs(slope) < 2 * held.std()
    assert held.std() / len(copper) < 1e-4


def windows(dynamics: Dynamics, number: int) -> np.ndarray:
    """Mean deviation of the kinetic from the target temperature in each part of the present stretch, K."""
    stretch = dynamics.schedule.stretch(dynamics.state.step + 1)
    deviations = []
    while dynamics.state.step < stretch.stop:
        dynamics.advance()
        deviations.append(dynamics.state.temperature_k - stretch.target_k(dynamics.state.step))
    return np.array(deviations).reshape(number, -1).mean(axis=1)


def assert_within_three_errors(deviations: np.ndarray) -> None:
    errors = deviations.std(axis=0, ddof=1) / np.sqrt(len(deviations))
    # of so few runs the error is uncertain itself; Student's t puts 99.7 % here
    from scipy.stats import t

    allowed = t.ppf(0.99865, len(deviations) - 1) * errors
    assert (np.abs(deviations.mean(axis=0)) < allowed).all(), deviations.mean(axis=0) / errors


@pytest.mark.slow
def test_the_temperature_of_the_host_follows_the_ramp_of_the_source() -> None:
    """Eight runs of the first two ps with NEP89, from the crystal relaxed with it: each tenth of the ramp."""
    protocol = AimdProtocol(segments=(Segment(ensemble="nvt", temperature=(100, 1100), ps=2, time_step_fs=2),))
    start = host_start(protocol)
    engine = MLIPS["nep"].force_field(Ions(tuple(start.system.species)))
    places, moves = start.positions.copy(), 0.0
    for _ in range(500):
        moves = 0.9 * moves + 0.01 * engine.evaluate(places, start.cell).forces
        places += np.clip(0.5 * moves, -0.05, 0.05)
    crystal = Crystal(start.system, places, start.cell)
    deviations = [windows(Dynamics(starting_state(crystal, protocol, seed), protocol, engine), 10) for seed in range(8)]
    assert_within_three_errors(np.array(deviations))


def test_the_temperature_of_argon_follows_a_ramp(argon: Callable[..., Crystal], lennard_jones: ForceField) -> None:
    """Five times hotter in 12 ps, from equilibrium."""
    protocol = AimdProtocol(
        segments=(
            Segment(ensemble="nvt", temperature=10, ps=4, time_step_fs=8),
            Segment(ensemble="nvt", temperature=(10, 50), ps=12, time_step_fs=8),
        ),
        frame_interval_fs=40,
        thermostat_fs=100,
    )
    deviations = []
    for seed in range(100, 108):
        dynamics = Dynamics(starting_state(argon(), protocol, seed), protocol, lennard_jones)
        windows(dynamics, 1)
        deviations.append(windows(dynamics, 10))
    assert_within_three_errors(np.array(deviations))


def test_an_explosion_ends_the_run_before_its_frames_are_told(
    argon: Callable[..., Crystal], lennard_jones: ForceField, recorder: type
) -> None:
    protocol = AimdProtocol(
        segments=(Segment(ensemble="nvt", temperature=60, ps=5, time_step_fs=50),),
        frame_interval_fs=50,
        checkpoint_interval_fs=50,
    )
    observer = recorder()
    state = thermal_state(argon(), 60, 0)
    with pytest.raises(ExplosionError, match=r"^step \d+: (too hot|energy drift|not finite): ") as error:
        Dynamics(state, protocol, lennard_jones).run(observer)
    assert len(observer.frames) == error.value.step - 1
    assert all(frame.temperature_k < 1180 for frame in observer.frames)


def test_an_engine_that_returns_no_number_is_noticed_at_once(argon: Callable[..., Crystal], recorder: type) -> None:
    class Broken:
        calls = count()

        def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
            value = np.nan if next(self.calls) == 3 else 0.0
            return Forces(value, np.full_like(positions, value))

        evaluate_with_virial = evaluate

    protocol = AimdProtocol(segments=(Segment(ensemble="nvt", temperature=60, ps=1, time_step_fs=1),))
    with pytest.raises(ExplosionError, match=r"^step 3: not finite: velocities are not numbers$"):
        Dynamics(thermal_state(argon(), 60, 0), protocol, Broken()).run(recorder())
