"""Forces of CP2K for molecular dynamics and elastic bands: one process that keeps its orbitals between geometries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from lzc_flows.documents.dft import DftProtocol
from lzc_flows.dynamics.forces import Forces
from lzc_flows.engines.base import Ions
from lzc_flows.engines.cp2k_inputs import static_input
from lzc_flows.engines.cp2k_outputs import INPUT_FILE, OUTPUT_FILE
from lzc_flows.engines.cp2k_program import cp2k_command
from lzc_flows.engines.cp2k_shell import Answer, Cp2kShell


class Cp2kForceField:
    """CP2K on one set of ions; it starts at the first geometry and ends with this object or its process.

    Every geometry starts from the orbitals of those before it. Its answer therefore depends on what was asked before,
    within the convergence of the self-consistency (`DftProtocol.scf_ev`): a restarted run goes on within that, not to
    the last bit as with the other engines.
    """

    def __init__(self, ions: Ions, dft: DftProtocol) -> None:
        self._ions, self._dft = ions, dft
        self._shell: Cp2kShell | None = None
        self._folder: TemporaryDirectory[str] | None = None

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy and forces.

        Raises
        ------
        CalculationError
            The self-consistency did not converge, or CP2K ended.
        """
        return replace(self.evaluate_with_virial(positions, cell), virial_ev=None)

    def evaluate_with_virial(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy, forces and virial; raises as `evaluate` does."""
        answer = self._answer(positions, cell)
        volume = abs(float(np.linalg.det(cell)))
        return Forces(answer.energy_ev, answer.forces, volume * answer.stress)

    def evaluate_many(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> list[Forces]:
        """Return energies and forces, one after the other; raises as `evaluate` does."""
        return [self.evaluate(each, cell) for each in positions]

    def close(self) -> None:
        """End CP2K; the next geometry starts another one."""
        if self._shell is not None:
            self._shell.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._shell = self._folder = None

    def _answer(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Answer:
        """Return CP2K's answer; after a failure its process is gone, so that nothing of it is used."""
        try:
            if self._shell is None:
                self._shell = self._started(positions, cell)
            return self._shell.evaluate(positions, cell)
        except BaseException:
            self.close()
            raise

    def _started(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Cp2kShell:
        self._folder = TemporaryDirectory(prefix="lzc-cp2k-")
        folder = Path(self._folder.name)
        text = str(static_input(self._ions.structure(cell, positions), self._ions, self._dft))
        (folder / INPUT_FILE).write_text(text)
        return Cp2kShell(cp2k_command(), folder, INPUT_FILE, OUTPUT_FILE)
