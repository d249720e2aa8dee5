"""EIGENVAL: the bands."""

from __future__ import annotations

import numpy as np

from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.poscar import table


def text(inputs: Inputs, electrons: Electrons) -> str:
    """Return EIGENVAL."""
    ions, points = sum(inputs.arrangement.counts), inputs.mesh.points
    cell = inputs.arrangement.cell
    volume = abs(float(np.linalg.det(cell))) / ions
    lengths = 1e-10 * np.linalg.norm(cell, axis=1)
    lines = [
        f"{ions:5d}{ions:5d}{1:5d}{electrons.spins:5d}",
        "".join(f"{number:15.7E}" for number in (volume, *lengths, 5e-16)),
        f"{inputs.tag('TEBEG'):22.15E}",
        "  CAR ",
        f" {inputs.tag('SYSTEM')}",
        f"{round(electrons.number):5d}{len(points):5d}{electrons.bands:5d}",
    ]
    for number, (point, weight) in enumerate(zip(points, inputs.mesh.weights, strict=True)):
        lines += ["", f"{point[0]:15.7E}{point[1]:15.7E}{point[2]:15.7E}{weight:15.7E}"]
        columns = [
            np.arange(1, electrons.bands + 1),
            *electrons.energies_ev[:, number],
            *electrons.occupations[:, number],
        ]
        spins = electrons.spins
        lines.append(table("%5d" + "%14.6f" * spins + "%12.6f" * spins, np.column_stack(columns)))
    return "\n".join(lines) + "\n"
