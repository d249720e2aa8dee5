"""Error handlers of VASP beside custodian's: stopping in time, what did not converge, and runs that were cut."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from custodian.custodian import ErrorHandler, Validator
from custodian.vasp.handlers import UnconvergedErrorHandler, WalltimeHandler
from custodian.vasp.interpreter import VaspModder
from custodian.vasp.io import load_vasprun
from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar

VTST_LINE = b"NEB: projections on to tangent"
"""What VTST's code begins a line with in the OUTCAR of each image, at each ionic step."""

STOPPED_FILE = "lzc_stopped"
"""Says that VASP was asked to stop because the time was over."""

TAIL_BYTES = 4_000_000
"""So much of the end of an OUTCAR holds its last ionic step: bands of many k-points, which come last, are long."""


class StopInTimeHandler(WalltimeHandler):
    """Ask VASP to stop after an ionic step while there is time for three more: what it wrote then goes on later.

    Custodian's own handler reads the whole OUTCAR at each look, and takes the length of a walltime, not its end.
    """

    def __init__(self, outcar: str, stop_at_s: float | None) -> None:
        self.outcar = outcar
        self.stop_at_s = stop_at_s

    def check(self, directory: str = "./") -> bool:
        """Return whether the time is nearly over."""
        if self.stop_at_s is None or (Path(directory) / STOPPED_FILE).exists():
            return False
        return time.time() + 3 * last_ionic_step_s(Path(directory) / self.outcar) > self.stop_at_s

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Write the STOPCAR."""
        (Path(directory) / "STOPCAR").write_text("LSTOP = .TRUE.\n")
        (Path(directory) / STOPPED_FILE).touch()
        return {"errors": ["the time of the batch job is nearly over"], "actions": None}


class IonicallyUnconvergedHandler(UnconvergedErrorHandler):
    """Custodian's handler of what did not converge, except where VASP was asked to stop."""

    def check(self, directory: str = "./") -> bool:
        """Return whether the calculation ended by itself without convergence."""
        return not (Path(directory) / STOPPED_FILE).exists() and super().check(directory)


class ElectronicallyUnconvergedHandler(IonicallyUnconvergedHandler):
    """Custodian's handler of electrons that did not converge; ions may be on their way."""

    def check(self, directory: str = "./") -> bool:
        """Return whether it is the electrons."""
        return (
            super().check(directory) and not load_vasprun(os.path.join(directory, "vasprun.xml")).converged_electronic
        )


class NoClimbingHandler(ErrorHandler):
    """A VASP without VTST's code computes a band's images and leaves them where they are: it is ended at once."""

    is_monitor = True

    def __init__(self, outcar: str) -> None:
        self.outcar = outcar

    def check(self, directory: str = "./") -> bool:
        """Return whether ionic steps are done of which VTST's code says nothing."""
        outcar = Path(directory) / self.outcar
        return last_ionic_step_s(outcar) > 0 and VTST_LINE not in tail(outcar)

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Nothing helps."""
        return {
            "errors": ["this VASP is without VTST's code; such a one needs dft.vasp.climbing: lzc"],
            "actions": None,
        }


class CutShortHandler(ErrorHandler):
    """VASP ended in the middle without a message, as when it is killed: go on from where the ions were."""

    max_num_corrections = 2
    raise_on_max = True

    def __init__(self, others: Sequence[ErrorHandler]) -> None:
        self.others = others

    def check(self, directory: str = "./") -> bool:
        """Return whether the output lacks its end and no other handler knows why."""
        vasprun = Path(directory) / "vasprun.xml"
        whole = vasprun.is_file() and b"</modeling>" in tail(vasprun)
        return not whole and not any(other.check(directory) for other in self.others)

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Start again, from the CONTCAR if that is whole."""
        actions = []
        if is_whole_poscar(Path(directory) / "CONTCAR"):
            actions = [{"file": "CONTCAR", "action": {"_file_copy": {"dest": "POSCAR"}}}]
            VaspModder(directory=directory).apply_actions(actions)
        return {"errors": ["VASP ended without a message and without its last output"], "actions": actions or ["rerun"]}


class EndedValidator(Validator):
    """VASP came to its end: all that can be asked where there are no electronic steps."""

    def check(self, directory: str = "./") -> bool:
        """Return whether it did not."""
        outcar = Path(directory) / "OUTCAR"
        return not outcar.is_file() or b"General timing and accounting" not in tail(outcar)


def is_whole_poscar(path: Path) -> bool:
    """Return whether a file holds a whole POSCAR or CONTCAR, with all velocities where it has any."""
    try:
        text = path.read_text()
        atoms = len(Poscar.from_str(text).structure)
    except (OSError, ValueError, IndexError, TypeError, BadPoscarWarning):
        return False
    if not text.endswith("\n"):
        return False
    _, *blocks = (block.splitlines() for block in re.split(r"\n[ \t]*\n", text.rstrip()))
    velocities, integrator = blocks[:1], blocks[1:2]
    # after three lines on the thermostat, which begin with 1, three rows for each atom of what VASP's integrator wants;
    # what a version of VASP writes instead is its own business
    cut = any(len(rows) != 3 + 3 * atoms for rows in integrator if rows[0].strip() == "1")
    return atoms > 0 and all(len(rows) == atoms for rows in velocities) and not cut


def last_ionic_step_s(outcar: Path) -> float:
    """Return how long VASP's last ionic step took, in s; 0 before the first."""
    if not outcar.is_file():
        return 0.0
    found = re.findall(rb"LOOP\+:.+real time\s+([\d.]+)", tail(outcar))
    return float(found[-1]) if found else 0.0


def tail(path: Path) -> bytes:
    """Return the last `TAIL_BYTES` of a file."""
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - TAIL_BYTES, 0))
        return stream.read()
