"""POSCAR and CONTCAR: where the atoms are, and what of a run of molecular dynamics goes on from there.

Format: https://www.vasp.at/wiki/index.php/POSCAR. The block of the predictor-corrector, which VASP's wiki leaves out,
is as in the files that VASP writes: a flag, the time step, four numbers of the thermostat, and for each atom positions,
increments a step, and half the accelerations times the step's square, in fractional coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lzc_flows.rehearsal.messages import refusal

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Arrangement:
    """Atoms in a cell.

    Attributes
    ----------
    comment
        First line of the file.
    symbols, counts
        Of each type of atom, in order.
    cell
        Lattice vectors as rows, (3, 3), Å.
    fractional
        Fractional coordinates, (n, 3).
    free
        Whether each coordinate may move, (n, 3).
    velocities
        Velocities, (n, 3), Å/fs; None where the file has none, or only zeros.
    thermostat
        The four numbers of the thermostat; None where the file has none.
    """

    comment: str
    symbols: tuple[str, ...]
    counts: tuple[int, ...]
    cell: Array
    fractional: Array
    free: NDArray[np.bool_]
    velocities: Array | None = None
    thermostat: tuple[float, float, float, float] | None = None

    @property
    def species(self) -> tuple[str, ...]:
        """Symbol of each atom."""
        return tuple(symbol for symbol, count in zip(self.symbols, self.counts, strict=True) for _ in range(count))

    @property
    def formula(self) -> str:
        """The types of atoms with their counts, such as Li4Cl4."""
        return "".join(f"{symbol}{count}" for symbol, count in zip(self.symbols, self.counts, strict=True))

    @property
    def positions(self) -> Array:
        """Positions, (n, 3), Å."""
        return self.fractional @ self.cell


@dataclass(frozen=True)
class Motion:
    """What CONTCAR holds of a run beside where the atoms are.

    Attributes
    ----------
    velocities, accelerations
        Of each atom, (n, 3), Å/fs and Å/fs².
    time_step_fs
        Time step, fs.
    thermostat
        Four numbers of the thermostat.
    """

    velocities: Array
    accelerations: Array
    time_step_fs: float
    thermostat: tuple[float, float, float, float]


def read_poscar(path: Path) -> Arrangement:
    """Return what a POSCAR holds.

    Raises
    ------
    Refusal
        No such file, or one that VASP could not read.
    """
    if not path.is_file():
        raise refusal(f"The requested file {path.name} could not be found or opened for reading the structure.")
    try:
        return _parsed(path.read_text().splitlines())
    except (ValueError, IndexError):
        raise refusal(f"There was an error reading the file {path.name}: it holds no structure.") from None


def _parsed(lines: list[str]) -> Arrangement:
    rows = np.array([[float(word) for word in line.split()[:3]] for line in lines[2:5]])
    scale = [float(word) for word in lines[1].split()[:3]]
    if len(scale) == 1 and scale[0] < 0:  # the volume
        scale = [(-scale[0] / abs(float(np.linalg.det(rows)))) ** (1 / 3)]
    cell = rows * (scale[0] if len(scale) == 1 else np.array(scale))
    # VASP 6.4 adds a checksum of the potential behind a slash
    symbols = tuple(word.split("/")[0].split("_")[0] for word in lines[5].split())
    counts = tuple(int(word) for word in lines[6].split())
    if len(symbols) != len(counts) or not all(symbol.isalpha() for symbol in symbols):
        raise ValueError(lines[5])
    at, atoms = 7, sum(counts)
    selective = lines[at].strip()[:1].upper() == "S"
    at += selective
    cartesian = lines[at].strip()[:1].upper() in {"C", "K"}
    at += 1
    table = [line.split() for line in lines[at : at + atoms]]
    places = np.array([[float(word) for word in row[:3]] for row in table])
    if places.shape != (atoms, 3):
        raise ValueError("positions")
    fractional = (places * scale[0]) @ np.linalg.inv(cell) if cartesian else places
    free = np.array([[word.upper().strip(".")[:1] == "T" for word in row[3:6]] for row in table] if selective else True)
    rest = lines[at + atoms :]
    velocities, rest = _velocities(rest, atoms, cell)
    return Arrangement(
        comment=lines[0].strip(),
        symbols=symbols,
        counts=counts,
        cell=cell,
        fractional=fractional,
        free=np.broadcast_to(free, (atoms, 3)),
        velocities=velocities,
        thermostat=_thermostat(rest),
    )


def _velocities(lines: list[str], atoms: int, cell: Array) -> tuple[Array | None, list[str]]:
    """Return velocities in Å/fs, None where there are none or only zeros, and the lines after them."""
    if lines and lines[0].strip()[:1].upper() == "L":  # velocities of the lattice
        lines = lines[8:]
    if len(lines) <= atoms or not lines[1].strip():
        return None, []
    found = np.array([[float(word) for word in line.split()[:3]] for line in lines[1 : atoms + 1]])
    if lines[0].strip()[:1].upper() == "D":
        found = found @ cell
    return (found if found.any() else None), lines[atoms + 1 :]


def _thermostat(lines: list[str]) -> tuple[float, float, float, float] | None:
    """Return the four numbers of the thermostat: the third line of the predictor-corrector's block."""
    block = [line for line in lines if line.strip()]
    if len(block) < 3:
        return None
    first, second, third, fourth = (float(word) for word in block[2].split()[:4])
    return first, second, third, fourth


def wrapped(fractional: Array) -> Array:
    """Return fractional coordinates within the cell, as VASP writes them."""
    inside = fractional - np.floor(fractional)
    return np.where(inside >= 1, 0.0, inside)


def poscar_text(arrangement: Arrangement, motion: Motion | None = None) -> str:
    """Return a CONTCAR: atoms within the cell, velocities (zero where nothing moves), and the thermostat's state."""
    atoms = len(arrangement.fractional)
    lines = [f"{arrangement.comment:<40}", "   1.00000000000000     "]
    lines += ["  ".join(["", *(f"{x:20.16f}" for x in row)]) for row in arrangement.cell]
    lines.append("".join(f"{symbol:>5}" for symbol in arrangement.symbols))
    lines.append("".join(f"{count:6d}" for count in arrangement.counts))
    if not arrangement.free.all():
        lines.append("Selective dynamics")
    lines.append("Direct")
    places = table("  %18.16f  %18.16f  %18.16f", wrapped(arrangement.fractional))
    if not arrangement.free.all():
        flags = [" ".join("T" if each else "F" for each in row) for row in arrangement.free]
        places = "\n".join(f"{row}   {flag}" for row, flag in zip(places.splitlines(), flags, strict=True))
    lines += [places, ""]
    numbers = " %15.8E %15.8E %15.8E"
    lines.append(table(numbers, np.zeros((atoms, 3)) if motion is None else motion.velocities))
    if motion is not None:
        inverse, step = np.linalg.inv(arrangement.cell), motion.time_step_fs
        lines += ["", "           1", f"   {step:.14f}     "]
        lines.append(" " + " ".join(f"{number:23.15E}" for number in motion.thermostat))
        lines.append(table(numbers, wrapped(arrangement.fractional)))
        lines.append(table(numbers, step * motion.velocities @ inverse))
        lines.append(table(numbers, 0.5 * step**2 * motion.accelerations @ inverse))
    return "\n".join(lines) + "\n"


def table(row: str, numbers: Array) -> str:
    """Return numbers (n, m) as lines of one format each."""
    return "\n".join([row] * len(numbers)) % tuple(numbers.ravel().tolist())


def grouped(species: tuple[str, ...]) -> list[tuple[str, int]]:
    """Return the runs of equal symbols with their lengths."""
    return [(symbol, len(list(run))) for symbol, run in groupby(species)]
