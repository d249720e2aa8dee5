"""What molecular dynamics costs beside the forces: our loop against bare force calls of the same engine, as a ratio.

Run ``python bench/md_overhead.py`` (two minutes on an idle machine), ``--engines nep`` for one engine, ``--json`` for
one JSON document. Each row is one protocol on one crystal. The bare calls go to ASE's calculator of the engine, which
is what others run on, and to our `ForceField`, which is faster; runs and calls take turns, so that other load on the
machine hits both. Frames are streamed each 20 fs, and checkpoints written each ps and at the end of each turn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lzc_flows.crystal.host import aimd_host, ideal_host
from lzc_flows.documents.aimd_protocol import AimdProtocol, Ensemble, Segment
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.dynamics.checkpoint import RunIdentity, write_checkpoint
from lzc_flows.dynamics.forces import ForceField, Forces, System
from lzc_flows.dynamics.run import Dynamics
from lzc_flows.dynamics.state import Crystal, State, starting_state
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.trajectory.model import Frame, Header
from lzc_flows.trajectory.writer import Writer

CRYSTALS: dict[str, Callable[[], Any]] = {
    "1×1×3": lambda: aimd_host().structure,
    "2×2×2": lambda: ideal_host().supercell((2, 2, 2)).structure,
}
STEPS = {"nep": 250, "chgnet": 10}
"""Steps of a turn."""
TURNS = {"nep": 4, "chgnet": 2}
ENSEMBLES: tuple[Ensemble, ...] = ("nve", "nvt", "npt")


@dataclass
class Timed:
    """Forces that note the time spent in them."""

    force_field: ForceField
    seconds: float = 0.0

    def evaluate(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        """Return energy and forces."""
        start = time.perf_counter()
        found = self.force_field.evaluate(positions, cell)
        self.seconds += time.perf_counter() - start
        return found

    def evaluate_with_virial(self, positions: np.ndarray, cell: np.ndarray) -> Forces:
        """Return the virial as well."""
        start = time.perf_counter()
        found = self.force_field.evaluate_with_virial(positions, cell)
        self.seconds += time.perf_counter() - start
        return found


@dataclass
class Disk:
    """An observer that streams frames and writes checkpoints, and stops after so many steps."""

    folder: Path
    identity: RunIdentity
    writer: Writer
    left: int = 0

    def frame(self, frame: Frame) -> None:
        """Stream it."""
        self.writer.append(frame)

    def checkpoint(self, state: State) -> None:
        """Write it, after its frames."""
        self.writer.flush()
        write_checkpoint(self.folder / "checkpoint.npz", state, self.identity)

    def stop_requested(self) -> bool:
        """Return whether the turn is over."""
        self.left -= 1
        return self.left < 0


def measure(engine: str, name: str, ensemble: Ensemble, folder: Path) -> dict[str, Any]:
    """Return times of a step in ms: medians over turns of a run, of ASE's calculator and of our force calls."""
    structure = CRYSTALS[name]()
    system = System.of([site.specie.symbol for site in structure])
    crystal = Crystal(system, structure.cart_coords, structure.lattice.matrix)
    protocol = AimdProtocol(segments=(Segment(ensemble=ensemble, temperature=300, ps=1000, time_step_fs=2),))
    force_field = MLIPS[engine].force_field(Ions(tuple(system.species)))
    atoms = structure.copy().remove_oxidation_states().to_ase_atoms()
    atoms.calc = MLIPS[engine].relax_maker(RelaxProtocol()).calculator

    timed = Timed(force_field)
    dynamics = Dynamics(starting_state(crystal, protocol, 0), protocol, timed)
    stamp = MLIPS[engine].stamp()
    identity = RunIdentity.of(crystal, protocol, stamp, 0)
    header = Header(system.species, 2.0, 10, stamp.version, protocol.model_dump_json(), 0, identity.structure)
    writer = Writer.create(folder / f"{engine}-{len(atoms)}-{ensemble}.h5", header)
    writer.append(dynamics.frame())
    disk = Disk(folder, identity, writer)
    steps = STEPS[engine]
    rows = []
    for turn in range(TURNS[engine] + 1):
        disk.left, timed.seconds = steps, 0.0
        whole = seconds_of(lambda: dynamics.run(disk))
        inside = timed.seconds
        positions, cell = dynamics.state.positions, dynamics.state.cell
        moves = np.random.default_rng(turn).normal(scale=0.01, size=(steps, *positions.shape))
        evaluate = force_field.evaluate_with_virial if ensemble == "npt" else force_field.evaluate
        bare = seconds_of(lambda m=moves, p=positions, c=cell, e=evaluate: [e(p + move, c) for move in m])
        atoms.set_cell(cell)
        of_ase = seconds_of(lambda m=moves, p=positions: [ase_forces(atoms, p + move) for move in m])
        rows.append([whole, inside, bare, of_ase])
    writer.close()
    times = 1000 * np.array(rows[1:]) / steps  # the first turn warms up
    whole, inside, bare, of_ase = np.median(times, axis=0)
    return {
        "engine": engine,
        "atoms": len(atoms),
        "ensemble": ensemble,
        "step_ms": whole,
        "bare_ms": bare,
        "ase_ms": of_ase,
        "over_own_forces": float(np.median(times[:, 0] / times[:, 1])),
        "over_bare": float(np.median(times[:, 0] / times[:, 2])),
        "over_ase": float(np.median(times[:, 0] / times[:, 3])),
    }


def ase_forces(atoms: Any, positions: np.ndarray) -> np.ndarray:
    atoms.positions = positions
    return atoms.get_forces()


def seconds_of(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    columns = list(rows[0])
    lines = [columns, *([f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the engines' imports warn at length

    rows = []
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):  # engines introduce themselves
        for engine in arguments.engines:
            for name in CRYSTALS:
                rows += [measure(engine, name, ensemble, Path(folder)) for ensemble in ENSEMBLES]
    load = os.getloadavg()[0]
    if arguments.json:
        print(json.dumps({"rows": rows, "cores": os.cpu_count(), "load_1min": load}, indent=1))
        return
    print_table(rows)
    print(
        "\nRatios are of the run with frames and checkpoints: over the force calls inside it, over as many bare calls"
    )
    print(f"beside it, over ASE's calculator; medians over turns. {os.cpu_count()} cores, load {load:.1f} at the end")


if __name__ == "__main__":
    main()
