"""`python -m lzc_flows.engines.relax_worker PARENT`: relax the structures of a request, in a process of its own.

A request without a protocol asks for single points.

A crash of the engine ends this process only; it ends with its parent, whose process id is PARENT. Reads
``relax_request.json`` and writes ``relax_result.json`` in the working directory, whole or not at all; the optimizer's
log ``relax.log`` grows with each step, so that a monitor can tell a slow run from a frozen one. Structures already in
the result are not relaxed again.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monty.serialization import dumpfn, loadfn
from pymatgen.core import Structure

from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.processes import end_with_parent

REQUEST_FILE = "relax_request.json"
RESULT_FILE = "relax_result.json"
LOG_FILE = "relax.log"


@dataclass
class RelaxRequest:
    """What to relax: structures, the machine-learned engine's name and the protocol; None for single points."""

    structures: list[Structure]
    engine: str
    protocol: RelaxProtocol | None

    def write(self, folder: Path) -> None:
        """Write the request atomically."""
        content = {
            "structures": [structure.as_dict() for structure in self.structures],
            "engine": self.engine,
            "protocol": self.protocol and self.protocol.model_dump(),
        }
        _write(content, folder / REQUEST_FILE)

    @classmethod
    def read(cls, folder: Path) -> RelaxRequest:
        """Read the request."""
        content = loadfn(folder / REQUEST_FILE, cls=None)
        structures = [Structure.from_dict(entry) for entry in content["structures"]]
        protocol = content["protocol"]
        return cls(structures, content["engine"], None if protocol is None else RelaxProtocol(**protocol))


@dataclass
class Relaxed:
    """One relaxed structure; energies in eV, forces in eV/Å, time in s."""

    structure: Structure
    energy_ev: float
    max_force_ev_per_angstrom: float
    converged: bool
    steps: int
    wall_s: float


@dataclass
class RelaxResult:
    """What has been relaxed so far, in the order of the request."""

    relaxed: list[Relaxed] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write the result atomically."""
        rows = [{**vars(entry), "structure": entry.structure.as_dict()} for entry in self.relaxed]
        _write({"relaxed": rows}, folder / RESULT_FILE)

    @classmethod
    def read(cls, folder: Path) -> RelaxResult:
        """Read the result; empty if there is none yet."""
        if not (folder / RESULT_FILE).is_file():
            return cls()
        rows = loadfn(folder / RESULT_FILE, cls=None)["relaxed"]
        return cls([Relaxed(**{**row, "structure": Structure.from_dict(row["structure"])}) for row in rows])


def _write(content: dict, path: Path) -> None:
    partial = path.with_suffix(".partial.json")
    dumpfn(content, partial)
    os.replace(partial, path)


def relax_all(folder: Path) -> RelaxResult:
    """Relax what the request in `folder` asks for and the result there lacks; return the whole result."""
    import numpy as np

    from lzc_flows.engines.mlip import MLIPS

    request, result = RelaxRequest.read(folder), RelaxResult.read(folder)
    engine = MLIPS[request.engine]
    maker: Any
    if request.protocol is None:
        maker = engine.static_maker()
    else:
        maker = engine.relax_maker(request.protocol)
        maker.relax_kwargs["logfile"] = str(folder / LOG_FILE)
    for structure in request.structures[len(result.relaxed) :]:
        # the engines know elements, not charges; the caller puts charges and labels back by site
        bare = structure.copy().remove_oxidation_states()
        outcome: Any = maker.run_ase(bare)
        forces = np.array(outcome.trajectory.forces[-1])
        # frames: the start, one a step, and the end once more; a single point has one frame
        steps = max(len(outcome.trajectory.energy) - 2, 0)
        result.relaxed.append(
            Relaxed(
                structure=outcome.final_mol_or_struct,
                energy_ev=float(outcome.trajectory.energy[-1]),
                max_force_ev_per_angstrom=float(np.linalg.norm(forces, axis=1).max()),
                # the cell filter measures forces in the starting cell: check them in the last one too
                converged=bool(outcome.converged and outcome.is_force_converged),
                steps=steps,
                wall_s=float(outcome.elapsed_time),
            )
        )
        result.write(folder)
    return result


if __name__ == "__main__":
    end_with_parent()
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent was gone before the work began")
    relax_all(Path.cwd())
