"""Forces from VASP's single points: what our own band search runs on where VASP has no VTST code."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray
from pymatgen.io.vasp.inputs import Incar
from pymatgen.io.vasp.outputs import Vasprun

from lzc_flows.documents.dft import DftProtocol
from lzc_flows.dynamics.forces import Forces
from lzc_flows.engines.base import Ions
from lzc_flows.engines.vasp_inputs import grouped, static_inputs
from lzc_flows.engines.vasp_potcars import unknown_potcars_allowed
from lzc_flows.engines.vasp_program import ending_with_us, vasp_commands
from lzc_flows.errors import CalculationError

FOLDER = "vasp-points"
"""Where the single points are computed, in the working directory: one folder for each image of a band."""

KILOBAR_EV_PER_ANGSTROM3 = 0.1 * GPa


class VaspForceField:
    """One run of VASP for each arrangement, from the wave functions of the last one in its place of the band.

    Answers depend on what was asked before within the convergence of the electrons, which `dft.scf_ev` sets.
    """

    def __init__(self, dft: DftProtocol, ions: Ions) -> None:
        self.dft, self.ions = dft, ions
        standard, gamma = vasp_commands()
        is_gamma = dft.kpoints.mesh == (1, 1, 1) and dft.kpoints.scheme == "gamma"
        self._command = ending_with_us(gamma if is_gamma else standard)

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy, forces and virial."""
        return self._run(positions, cell, Path(FOLDER) / "single")

    def evaluate_with_virial(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy, forces and virial."""
        return self.evaluate(positions, cell)

    def evaluate_many(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> list[Forces]:
        """Return energies, forces and virials, one after the other."""
        return [self._run(each, cell, Path(FOLDER) / f"{number:02d}") for number, each in enumerate(positions)]

    def _run(self, positions: NDArray[np.float64], cell: NDArray[np.float64], folder: Path) -> Forces:
        """Run VASP in a folder that is kept from call to call.

        Raises
        ------
        CalculationError
            VASP failed, or its electrons did not converge.
        """
        sites, order = grouped(self.ions.structure(cell, positions))
        with unknown_potcars_allowed():
            static_inputs(self.dft, sites).write_input(os.fspath(folder))
        incar = Incar.from_file(folder / "INCAR")
        goes_on = (folder / "WAVECAR").is_file()
        (incar | {"LWAVE": True, "ISTART": int(goes_on)}).write_file(folder / "INCAR")
        (folder / "vasprun.xml").unlink(missing_ok=True)
        with (folder / "vasp.out").open("w") as stdout:
            done = subprocess.run(self._command, cwd=folder, stdout=stdout, stderr=subprocess.STDOUT, check=False)
        try:
            vasprun = Vasprun(folder / "vasprun.xml", parse_dos=False, parse_eigen=False, parse_potcar_file=False)
        except Exception as error:  # the parser tells a file that is cut by whatever its parts raise
            raise CalculationError(f"{folder}: VASP ended with exit status {done.returncode}: {error}") from None
        if not vasprun.converged_electronic:
            raise CalculationError(f"{folder}: VASP's electrons did not converge within NELM steps")
        last = vasprun.ionic_steps[-1]
        forces = np.empty((len(order), 3))
        forces[list(order)] = last["forces"]
        # VASP counts compression as positive
        stress = -KILOBAR_EV_PER_ANGSTROM3 * np.array(last["stress"])
        return Forces(float(last["e_0_energy"]), forces, -abs(float(np.linalg.det(cell))) * stress)
