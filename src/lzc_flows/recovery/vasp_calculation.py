"""One VASP calculation in a folder, which goes on from where an earlier launch left its ions."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from atomate2.vasp.sets.base import VaspInputGenerator
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.vasp.outputs import Vasprun

from lzc_flows.documents.dft import DftProtocol
from lzc_flows.engines.base import ions_of
from lzc_flows.engines.vasp import VaspEngine
from lzc_flows.errors import CalculationError
from lzc_flows.files import write_atomically
from lzc_flows.recovery.history import History
from lzc_flows.recovery.vasp import VaspKind, run_vasp, write_inputs
from lzc_flows.recovery.vasp_handlers import is_whole_poscar

IDENTITY_FILE = "lzc_identity"
HISTORY_FILE = "lzc_history.json"
DONE_FILE = "lzc_done"

OUTPUTS = ("OUTCAR", "OSZICAR", "vasprun.xml")
"""Of an earlier launch, a VASP that does not even start must not be taken for the author of these."""


@dataclass(frozen=True)
class VaspCalculation:
    """A calculation and where it is done.

    Attributes
    ----------
    kind
        Which handlers watch it.
    inputs
        Its input files, written when it has to run.
    folder
        Where it runs.
    identity
        What its result follows from, as a checksum.
    earlier
        Folders where earlier launches may have begun it.
    """

    kind: VaspKind
    inputs: Callable[[], VaspInputGenerator]
    folder: Path
    identity: str
    earlier: Sequence[Path] = ()

    @property
    def history(self) -> History:
        """What happened to it so far."""
        return History.read(self.folder / HISTORY_FILE)

    def run(self) -> bool:
        """Run it, unless it is done; return whether it is, or had to stop because the time was over.

        Raises
        ------
        InputError
            There is no VASP, no POTCAR, or a tag that contradicts the protocol.
        CalculationError
            The handlers could not mend what went wrong.
        """
        done = next((place for place in (self.folder, *self.earlier) if self._is_done(place)), None)
        if done is not None:
            if done != self.folder:
                self._copy(done)
            return True
        origin = self._origin()
        goes_on = (origin / "CONTCAR").read_text() if origin is not None else None
        history = History.read(origin / HISTORY_FILE) if origin is not None else History()
        write_inputs(self.inputs(), self.folder)
        for leftover in OUTPUTS:
            (self.folder / leftover).unlink(missing_ok=True)
        if goes_on is not None:
            (self.folder / "POSCAR").write_text(goes_on)
        history.write(self.folder / HISTORY_FILE)
        write_atomically(self.folder / IDENTITY_FILE, self.identity.encode())
        begun = time.monotonic()
        end = run_vasp(self.kind, self.folder)
        history.after(time.monotonic() - begun, end.corrections).write(self.folder / HISTORY_FILE)
        if not end.stopped:
            (self.folder / DONE_FILE).touch()
        return not end.stopped

    def forget(self) -> None:
        """Let the next launch run it again, because what it wrote is of no use."""
        (self.folder / DONE_FILE).unlink(missing_ok=True)

    def vasprun(self) -> Vasprun:
        """Return what VASP wrote, without bands and densities of states.

        Raises
        ------
        CalculationError
            The file is not whole.
        """
        return read_vasprun(self.folder)

    def _origin(self) -> Path | None:
        """Return the folder, of this launch or an earlier one, whose ions are the newest."""
        places = [place for place in (self.folder, *self.earlier) if self._is_ours(place)]
        begun = [place for place in places if is_whole_poscar(place / "CONTCAR")]
        return max(begun, key=lambda place: (place / "CONTCAR").stat().st_mtime, default=None)

    def _is_done(self, place: Path) -> bool:
        return self._is_ours(place) and (place / DONE_FILE).is_file()

    def _copy(self, done: Path) -> None:
        """Copy what an earlier launch did; the last file stands for the whole."""
        shutil.copytree(done, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(DONE_FILE))
        (self.folder / DONE_FILE).touch()

    def _is_ours(self, place: Path) -> bool:
        try:
            return (place / IDENTITY_FILE).read_text() == self.identity
        except OSError:  # not there, or a folder that others keep to themselves
            return False


def identity_of(structure: Structure, dft: DftProtocol, *words: str) -> str:
    """Return a checksum of what VASP's results for a crystal follow from; `words` say what else they do.

    Raises
    ------
    InputError
        There is no VASP.
    """
    stamp = VaspEngine(dft).stamp()
    digest = hashlib.sha256(" ".join([*ions_of(structure).words(stamp.name), stamp.version, *words]).encode())
    for array in (structure.lattice.matrix, structure.frac_coords):
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()


def read_vasprun(folder: Path) -> Vasprun:
    """Return what VASP wrote in a folder, without bands and densities of states.

    Raises
    ------
    CalculationError
        The file is not whole.
    """
    try:
        return Vasprun(folder / "vasprun.xml", parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    except Exception as error:  # the parser tells a file that is cut by whatever its parts raise
        raise CalculationError(f"{folder / 'vasprun.xml'}: not whole ({error})") from None


def ungrouped(values: NDArray[np.float64], order: Sequence[int]) -> NDArray[np.float64]:
    """Return values of VASP's sites in the order of the crystal that they came from; see `grouped`."""
    before = np.empty_like(values)
    before[list(order)] = values
    return before
