"""Densities of states: those of the stand-in's bands, shared out to ions and orbitals by what they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Element
from scipy.special import erf

from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.poscar import Arrangement, table

Array = NDArray[np.float64]

ORBITALS = ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2")
"""Columns of LORBIT = 11."""

_SHELLS = {"s": slice(0, 1), "p": slice(1, 4), "d": slice(4, 9)}
_DEFAULT_POINTS = 301
_MARGIN_WIDTHS = 10
_ELECTRONEGATIVE = 2.5
_MINOR = 0.1
"""What cations have of the occupied states a valence electron, and anions of the empty ones, beside the others."""


@dataclass(frozen=True)
class DensityOfStates:
    """Densities of states.

    Attributes
    ----------
    energies_ev
        (e,), eV.
    fermi_ev
        Fermi energy, eV.
    total, integrated
        States an eV, and states below, (spins, e); without spins they count both.
    projected
        On ions and orbitals, (n, spins, orbitals, e), states an eV; they sum to `total`. None without LORBIT.
    """

    energies_ev: Array
    fermi_ev: float
    total: Array
    integrated: Array
    projected: Array | None

    @property
    def orbitals(self) -> tuple[str, ...]:
        """Names of the columns of `projected`."""
        if self.projected is None:
            return ()
        return ORBITALS if self.projected.shape[2] == len(ORBITALS) else tuple(_SHELLS)


def model_dos(inputs: Inputs, electrons: Electrons) -> DensityOfStates:
    """Return the densities of states of the bands, broadened by Gaussians of SIGMA, at NEDOS energies.

    As VASP does it, a density is the difference of the integrated one to the energy before. Occupied states belong to
    electronegative elements and to p, empty ones to the others and to d of transition metals or s.
    """
    width = float(inputs.tag("SIGMA"))
    energies = _energies(inputs, electrons, width)
    spread = (energies - electrons.energies_ev[..., None]) / (np.sqrt(2) * width)
    per_band = (2 if electrons.spins == 1 else 1) * inputs.mesh.weights[None, :, None, None]
    integrated = (per_band * 0.5 * (1 + erf(spread))).sum(axis=(1, 2))
    total = np.diff(integrated, prepend=integrated[:, :1], axis=1) / (energies[1] - energies[0])
    projected = _projected(inputs, electrons, energies, total) if inputs.tag("LORBIT") >= 10 else None
    return DensityOfStates(energies, electrons.fermi_ev, total, integrated, projected)


def dos_xml(dos: DensityOfStates) -> str:
    """Return ``<dos>`` of vasprun.xml."""
    total = np.stack([np.broadcast_to(dos.energies_ev, dos.total.shape), dos.total, dos.integrated], axis=-1)
    parts = [f'  <dos>\n   <i name="efermi"> {dos.fermi_ev:16.8f} </i>\n   <total>\n']
    parts.append(_array(("gridpoints", "spin"), ("energy", "total", "integrated")))
    parts += [_spin(number, rows, 6) for number, rows in enumerate(total, 1)]
    parts.append("     </set>\n    </array>\n   </total>\n")
    if dos.projected is not None:
        parts.append("   <partial>\n" + _array(("gridpoints", "spin", "ion"), ("energy", *dos.orbitals)))
        for ion, of_ion in enumerate(dos.projected, 1):
            parts.append(f'      <set comment="ion {ion}">\n')
            parts += [
                _spin(number, np.column_stack([dos.energies_ev, columns.T]), 7)
                for number, columns in enumerate(of_ion, 1)
            ]
            parts.append("      </set>\n")
        parts.append("     </set>\n    </array>\n   </partial>\n")
    parts.append("  </dos>\n")
    return "".join(parts)


def doscar_text(inputs: Inputs, arrangement: Arrangement, dos: DensityOfStates) -> str:
    """Return DOSCAR: the total, and with LORBIT each ion's, spins side by side."""
    atoms = len(arrangement.fractional)
    volume = abs(float(np.linalg.det(arrangement.cell))) / atoms
    lengths = 1e-10 * np.linalg.norm(arrangement.cell, axis=1)
    numbers = (volume, *lengths.tolist(), 1e-15 * float(inputs.tag("POTIM")))
    title = (
        f"{dos.energies_ev[-1]:16.8f}{dos.energies_ev[0]:16.8f}{len(dos.energies_ev):5d}{dos.fermi_ev:16.8f}"
        f"{1.0:16.8f}\n"
    )
    parts = [f"{atoms:4d}{atoms:4d}{int(dos.projected is not None):4d}{0:4d}\n", "%16.7E" * 5 % numbers + "\n"]
    parts.append(f"  1.0000000E-04\n  CAR \n {inputs.tag('SYSTEM')}\n{title}")
    blocks = [np.vstack([dos.energies_ev, dos.total, dos.integrated])]
    if dos.projected is not None:
        # up and down of an orbital stand side by side
        spins_last = dos.projected.transpose(0, 2, 1, 3).reshape(atoms, -1, len(dos.energies_ev))
        blocks += [np.vstack([dos.energies_ev, columns]) for columns in spins_last]
    texts = [table("%11.4f" + "%12.4E" * (len(block) - 1), block.T) + "\n" for block in blocks]
    return "".join(parts) + title.join(texts)


def _energies(inputs: Inputs, electrons: Electrons, width: float) -> Array:
    """Return EMIN to EMAX, or what holds all bands and the Fermi energy."""
    margin = _MARGIN_WIDTHS * width
    bands = np.append(electrons.energies_ev.ravel(), electrons.fermi_ev)
    lowest = inputs.tags.get("EMIN", bands.min() - margin)
    highest = inputs.tags.get("EMAX", bands.max() + margin)
    return np.linspace(lowest, highest, int(inputs.tags.get("NEDOS", _DEFAULT_POINTS)))


def _projected(inputs: Inputs, electrons: Electrons, energies: Array, total: Array) -> Array:
    occupied = (energies <= electrons.fermi_ev)[None, None, None, :]
    full, empty = (_shares(inputs, anions_hold=hold)[:, None, :, None] for hold in (True, False))
    projected = np.where(occupied, full, empty) * total[None, :, None, :]
    if inputs.tag("LORBIT") >= 11:
        return projected
    return np.stack([projected[:, :, columns].sum(axis=2) for columns in _SHELLS.values()], axis=2)


def _shares(inputs: Inputs, anions_hold: bool) -> Array:
    """Return what each ion's orbitals have of a state, (n, 9); all together they have one."""
    shares = np.zeros((len(inputs.potentials), len(ORBITALS)))
    for row, potential in zip(shares, inputs.potentials, strict=True):
        element = Element(potential.element)
        is_anion = element.X > _ELECTRONEGATIVE
        shell = "p" if is_anion else "d" if element.is_transition_metal else "s"
        row[_SHELLS[shell]] = 1 / len(row[_SHELLS[shell]])
        row *= potential.valence * (1 if is_anion == anions_hold else _MINOR)
    of_ions = np.repeat(shares, inputs.arrangement.counts, axis=0)
    return of_ions / of_ions.sum()


def _array(dimensions: tuple[str, ...], fields: tuple[str, ...]) -> str:
    rows = [f'     <dimension dim="{number}">{name}</dimension>\n' for number, name in enumerate(dimensions, 1)]
    return (
        "    <array>\n" + "".join(rows) + "".join(f"     <field>{name}</field>\n" for name in fields) + "     <set>\n"
    )


def _spin(number: int, rows: Array, depth: int) -> str:
    indent = " " * depth
    row = f"{indent} <r> " + "%11.4f " + "%11.4f " * (rows.shape[1] - 1) + "</r>"
    return f'{indent}<set comment="spin {number}">\n{table(row, rows)}\n{indent}</set>\n'
