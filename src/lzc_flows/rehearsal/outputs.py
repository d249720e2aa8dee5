"""The files of a run, which grow with each ionic step, and what it prints."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TextIO

from lzc_flows.rehearsal import eigenval, oszicar, outcar, outcar_head, vasprun, xdatcar
from lzc_flows.rehearsal.dos import dos_xml, doscar_text, model_dos
from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.poscar import Arrangement, Motion, poscar_text
from lzc_flows.rehearsal.step import IonicStep


class Outputs:
    """The files of one folder, written through to the disk after each ionic step, as monitors read them.

    Parameters
    ----------
    folder
        Where they are written.
    inputs, electrons
        What they tell of.
    stdout
        Where VASP prints to, by default the process's own.
    """

    def __init__(self, folder: Path, inputs: Inputs, electrons: Electrons, stdout: TextIO | None = None) -> None:
        self.folder = folder
        self._inputs, self._electrons = inputs, electrons
        self._stdout = stdout or sys.stdout
        self._outcar = (folder / "OUTCAR").open("w")
        self._vasprun = (folder / "vasprun.xml").open("w", encoding="iso-8859-1", errors="replace")
        self._oszicar = (folder / "OSZICAR").open("w")
        self._xdatcar = (folder / "XDATCAR").open("w")
        self._contcar = (folder / "CONTCAR").open("w")
        self._step: IonicStep | None = None
        self._configurations = 0
        self._began, self._began_cpu = time.time(), time.process_time()

    def begin(self, warnings: list[str]) -> None:
        """Write all that stands before the first ionic step."""
        now = time.localtime(self._began)
        self.say(oszicar.greeting(self._inputs) + "".join(warnings))
        self._outcar.write(
            outcar_head.beginning(self._inputs, self._electrons, time.strftime("%Y.%m.%d  %H:%M:%S", now))
        )
        date, clock = time.strftime("%Y %m %d", now), time.strftime("%H:%M:%S", now)
        self._vasprun.write(vasprun.beginning(self._inputs, self._electrons, date, clock))
        outcar_head.write_ibzkpt(self.folder, self._inputs)
        self._flush()

    def say(self, text: str) -> None:
        """Print, as VASP does, at once."""
        self._stdout.write(text)
        self._stdout.flush()

    def electrons(self, step: IonicStep) -> None:
        """Write the electronic steps of an ionic step."""
        lines = oszicar.electronic_lines(step, str(self._inputs.tag("ALGO")))
        self._oszicar.write(lines)
        self.say(lines)
        self._outcar.write(outcar.electronic_blocks(step, self._electrons))
        if self._inputs.tag("LORBIT") >= 10:
            self._outcar.write(outcar.moments(self._inputs, self._electrons))
        self._flush()

    def ions(self, step: IonicStep) -> None:
        """Write the energy, the forces and the rest of an ionic step."""
        line = oszicar.ionic_line(step, self._electrons)
        self._oszicar.write(line)
        self.say(line)
        self._outcar.write(outcar.ionic_block(step))
        self._vasprun.write((vasprun.END_OF_STEP if self._step is not None else "") + vasprun.ionic_step(step))
        self._write_configuration(step)
        self._step = step
        self._flush()

    def contcar(self, arrangement: Arrangement, motion: Motion | None = None) -> None:
        """Write where the atoms go on from."""
        # in place, as VASP does: to open a file anew at each step takes longer than all else that is written
        self._contcar.seek(0)
        self._contcar.write(poscar_text(arrangement, motion))
        self._contcar.truncate()
        self._contcar.flush()

    def note(self, text: str) -> None:
        """Print a line and write it to OUTCAR."""
        self._outcar.write(f"\n {text}\n")
        self._flush()
        self.say(f" {text}\n")

    def end(self, arrangement: Arrangement) -> None:
        """Write bands and the final accounting, and close vasprun.xml."""
        self._outcar.write(outcar.bands(self._inputs, self._electrons))
        cpu_s, wall_s = time.process_time() - self._began_cpu, time.time() - self._began
        self._outcar.write(outcar.ending(cpu_s, wall_s))
        states = model_dos(self._inputs, self._electrons)
        self._vasprun.write(vasprun.eigenvalues(self._electrons) + dos_xml(states))
        self._vasprun.write(vasprun.END_OF_STEP + vasprun.end(arrangement))
        (self.folder / "EIGENVAL").write_text(eigenval.text(self._inputs, self._electrons))
        (self.folder / "DOSCAR").write_text(doscar_text(self._inputs, arrangement, states))
        for file in (self._outcar, self._vasprun, self._oszicar, self._xdatcar, self._contcar):
            file.close()

    def cut_vasprun(self) -> None:
        """Leave half of vasprun.xml, as a full disk does."""
        file = self.folder / "vasprun.xml"
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    def _write_configuration(self, step: IonicStep) -> None:
        if (step.number - 1) % self._inputs.tag("NBLOCK"):
            return
        self._configurations += 1
        if self._configurations == 1 or self._inputs.tag("ISIF") > 2:
            self._xdatcar.write(xdatcar.header(self._inputs.arrangement, step))
        self._xdatcar.write(xdatcar.configuration(self._configurations, step))

    def _flush(self) -> None:
        for file in (self._outcar, self._vasprun, self._oszicar, self._xdatcar):
            file.flush()
