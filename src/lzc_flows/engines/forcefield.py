"""Forces of the machine-learned potentials for molecular dynamics, past ASE's calculators.

ASE's bookkeeping costs calorine's NEP 15 % of a step. Both answers depend on positions and cell alone, to the last
bit: neither keeps a neighbour list, and coordinates that are cast to single precision are wrapped first.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lzc_flows.dynamics.forces import Forces
from lzc_flows.dynamics.units import GPA_EV
from lzc_flows.errors import InputError


def nep_elements(model_file: Path) -> set[str]:
    """Return the elements that a NEP model knows: its first line has its kind, their number, and them."""
    with model_file.open() as stream:
        return set(stream.readline().split()[2:])


class NepForceField:
    """A NEP model on one core, in double precision, through calorine's binding of nep_cpu.

    Raises
    ------
    InputError
        The model does not know an element.
    """

    def __init__(self, model_file: Path, species: Sequence[str]) -> None:
        # the binding itself: calorine around it takes two seconds to import
        from _nepy import NEPY
        from ase.data import atomic_masses, atomic_numbers

        unknown = sorted(set(species) - nep_elements(model_file))
        if unknown:
            raise InputError(f"engine 'nep': its model does not know {unknown[0]}")
        masses = [float(atomic_masses[atomic_numbers[symbol]]) for symbol in species]
        with contextlib.redirect_stdout(io.StringIO()):  # it introduces itself
            # places and cell are replaced before the first evaluation
            self._nep = NEPY(
                str(model_file),
                len(species),
                np.eye(3).ravel().tolist(),
                list(species),
                [0.0] * 3 * len(species),
                masses,
            )
        self._shape = (len(species), 3)
        self._cell: NDArray[np.float64] | None = None

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy, forces and virial, which comes for nothing."""
        return self.evaluate_with_virial(positions, cell)

    def evaluate_with_virial(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy, forces and virial."""
        # the binding takes lists, and each axis in turn
        if self._cell is None or not np.array_equal(cell, self._cell):
            self._nep.set_cell(cell.T.ravel().tolist())
            self._cell = cell.copy()
        self._nep.set_positions(positions.T.ravel().tolist())
        energies, forces, virials = self._nep.get_potential_forces_and_virials()
        atoms = self._shape[0]
        return Forces(
            float(np.array(energies).sum()),
            np.ascontiguousarray(np.array(forces).reshape(3, atoms).T),
            np.array(virials).reshape(9, atoms).sum(axis=1).reshape(3, 3),
        )

    def evaluate_many(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> list[Forces]:
        """Return energies, forces and virials, one after the other."""
        return [self.evaluate(each, cell) for each in positions]


class ChgnetForceField:
    """CHGNet in single precision, on the CPU or, where there is one, the GPU.

    On a GPU sums come in no fixed order: a continued run equals the uncut one there only until rounding grows.
    """

    def __init__(self, species: Sequence[str]) -> None:
        from chgnet.model import CHGNet
        from pymatgen.core import Element

        with contextlib.redirect_stdout(sys.stderr):  # it introduces itself
            self._model = CHGNet.load(verbose=False)
        self._device = next(self._model.parameters()).device
        self._model.graph_converter.set_isolated_atom_response("ignore")
        try:
            self._species = [Element(symbol) for symbol in species]
        except ValueError as error:
            raise InputError(f"engine 'chgnet': {error}") from None

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy and forces."""
        return self._predict(positions, cell, "ef")

    def evaluate_with_virial(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Forces:
        """Return energy, forces and virial; takes half as long again."""
        return self._predict(positions, cell, "efs")

    def evaluate_many(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> list[Forces]:
        """Return energies and forces: in one batch on a GPU, one after the other on a CPU, where a batch is slower."""
        if self._device.type == "cpu":
            return [self.evaluate(each, cell) for each in positions]
        return self.evaluate_batch(positions, cell)

    def evaluate_batch(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> list[Forces]:
        """Return energies and forces of several arrangements, in one batch."""
        graphs = [self._graph(each, cell) for each in positions]
        found: Any = self._model.predict_graph(graphs, task="ef", batch_size=len(graphs))
        return [Forces(len(positions[0]) * float(each["e"]), each["f"].astype(float)) for each in found]

    def _predict(self, positions: NDArray[np.float64], cell: NDArray[np.float64], task: Literal["ef", "efs"]) -> Forces:
        found: Any = self._model.predict_graph(self._graph(positions, cell), task=task)
        virial = None
        if task == "efs":
            virial = -GPA_EV * abs(float(np.linalg.det(cell))) * found["s"].astype(float)
        return Forces(len(positions) * float(found["e"]), found["f"].astype(float), virial)

    def _graph(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Any:
        from pymatgen.core import Lattice, Structure

        fractional = positions @ np.linalg.inv(cell)
        fractional -= np.floor(fractional)
        structure = Structure(Lattice(cell), self._species, fractional)
        return self._model.graph_converter(structure).to(self._device)
