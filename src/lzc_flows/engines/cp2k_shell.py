"""CP2K as a process that waits for geometries: the protocol of its shell.

ASE's calculator speaks it too, but builds the input itself (with one kind of atom an element, so that ions of one
element cannot start with different moments), takes energies whose self-consistency failed, and leaves CP2K running when
it is killed. Described in CP2K's manual under ``cp2k --shell``; the words here are those of CP2K 2.1 to 2024.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lzc_flows.engines.cp2k_inputs import BOHR_ANGSTROM, HARTREE_EV
from lzc_flows.engines.cp2k_outputs import read_output
from lzc_flows.engines.cp2k_program import cp2k_environment
from lzc_flows.errors import CalculationError
from lzc_flows.processes import end_with_parent

READY = "* READY"
_MOST_LINES_BEFORE = 1000


@dataclass(frozen=True)
class Answer:
    """What CP2K says of a geometry: energy in eV, forces (n, 3) in eV/Å, compressive stress (3, 3) in eV/Å³."""

    energy_ev: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]


class Cp2kShell:
    """A CP2K that has read one input. It ends with this object, and with this process however that ends."""

    def __init__(self, command: Sequence[str], folder: Path, input_file: str, output_file: str) -> None:
        self._folder, self._output = folder, folder / output_file
        self._read_to = 0
        self._child = subprocess.Popen(
            [*command, "--shell"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "cp2k.err").open("w"),
            text=True,
            env=cp2k_environment(),
            preexec_fn=end_with_parent,
        )
        for _ in range(_MOST_LINES_BEFORE):  # MPI and libraries may introduce themselves
            if self._receive() == READY:
                break
        # stop at any error; in atomic units, for its eV is that of CODATA 2006, 5e-5 eV off in the energy of LiCl
        for line in ("HARSH", "UNITS_AU"):
            self._order(line)
        self._send(f"LOAD {input_file} {output_file}")
        self._environment = int(self._receive())
        self._expect(READY)

    def evaluate(self, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> Answer:
        """Return what CP2K says of positions (n, 3) in a cell (3, 3) of rows, both in Å.

        Raises
        ------
        CalculationError
            The self-consistency did not converge, or CP2K ended.
        """
        number = self._environment
        self._order(f"SET_CELL {number}", *_rows(cell / BOHR_ANGSTROM))
        self._send(f"SET_POS {number}", str(positions.size), *_rows(positions / BOHR_ANGSTROM), "*END")
        self._receive()  # the largest change
        self._expect(READY)
        self._order(f"EVAL_EF {number}")
        self._require_convergence()
        self._send(f"GET_E {number}")
        energy = float(self._receive())
        self._expect(READY)
        self._send(f"GET_F {number}")
        count = int(self._receive())
        forces = np.array([self._receive().split() for _ in range(count // 3)], dtype=float)
        self._expect("* END")
        self._expect(READY)
        self._send(f"GET_STRESS {number}")
        stress = np.array(self._receive().split(), dtype=float).reshape(3, 3)
        self._expect(READY)
        return Answer(energy * HARTREE_EV, forces * HARTREE_EV / BOHR_ANGSTROM, stress * HARTREE_EV / BOHR_ANGSTROM**3)

    def close(self) -> None:
        """End CP2K."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()

    def __del__(self) -> None:
        if hasattr(self, "_child"):
            self.close()

    def _require_convergence(self) -> None:
        """Refuse an energy that CP2K only warns of."""
        with self._output.open() as output:
            output.seek(self._read_to)
            news = output.read()
            self._read_to = output.tell()
        if "SCF run NOT converged" in news:
            raise CalculationError("CP2K: the self-consistency did not converge")
        if "SCF run converged" not in news:
            raise CalculationError(f"CP2K: no word of the self-consistency in {self._output}")

    def _order(self, *lines: str) -> None:
        self._send(*lines)
        self._expect(READY)

    def _send(self, *lines: str) -> None:
        assert self._child.stdin is not None  # a pipe
        try:
            self._child.stdin.write("\n".join(lines) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self) -> str:
        assert self._child.stdout is not None  # a pipe
        line = self._child.stdout.readline()
        if not line:
            raise self._ended()
        return line.strip()

    def _expect(self, wanted: str) -> None:
        received = self._receive()
        if received != wanted:
            raise CalculationError(f"CP2K answered {received!r} instead of {wanted!r}")

    def _ended(self) -> CalculationError:
        """Return the error of a CP2K that ended by itself, with its own words if it left any."""
        status = self._child.wait()
        said = read_output(self._output).abort
        return CalculationError(f"CP2K ended with exit status {status}" + (f": {said}" if said else ""))


def _rows(numbers: NDArray[np.float64]) -> list[str]:
    """Return a line for each row; doubles survive it to the last bit."""
    return [" ".join(f"{x:.17e}" for x in row) for row in numbers]
