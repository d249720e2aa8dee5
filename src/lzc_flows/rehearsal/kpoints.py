"""KPOINTS: a regular mesh, or a list, and the points that symmetry leaves of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from numpy.typing import NDArray

from lzc_flows.rehearsal.messages import refusal
from lzc_flows.rehearsal.poscar import Arrangement

DEFAULT_SPACING = 0.5
"""VASP's KSPACING where there is neither that nor a KPOINTS, 1/Å."""


@dataclass(frozen=True)
class Mesh:
    """The k-points of a calculation.

    Attributes
    ----------
    comment
        First line of the file.
    scheme
        ``Gamma``, ``Monkhorst-Pack`` or ``Listed``.
    divisions
        Of the mesh; (0, 0, 0) for a list.
    shift
        Of the mesh, in its own steps.
    points, weights
        Those that symmetry leaves, (k, 3), fractional, and their weights, which sum to 1.
    """

    comment: str
    scheme: str
    divisions: tuple[int, int, int]
    shift: tuple[float, float, float]
    points: NDArray[np.float64]
    weights: NDArray[np.float64]


def read_kpoints(folder: Path, tags: dict[str, Any], arrangement: Arrangement) -> Mesh:
    """Return the mesh of the file KPOINTS, or without one that of KSPACING.

    Raises
    ------
    Refusal
        A file that VASP could not read, or a kind of it that is not rehearsed.
    """
    if not (folder / "KPOINTS").is_file():
        spacing = tags.get("KSPACING", DEFAULT_SPACING)
        lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(arrangement.cell), axis=0)
        divisions = _three(np.maximum(1, np.ceil(lengths / spacing)))
        scheme = "Gamma" if tags.get("KGAMMA", True) else "Monkhorst-Pack"
        return _regular("read from INCAR", scheme, divisions, (0.0, 0.0, 0.0), tags, arrangement)
    lines = (folder / "KPOINTS").read_text().splitlines()
    try:
        return _parsed(lines, tags, arrangement)
    except (ValueError, IndexError):
        raise refusal("There was an error reading the file KPOINTS: it holds no k-points.") from None


def _parsed(lines: list[str], tags: dict[str, Any], arrangement: Arrangement) -> Mesh:
    comment, number = lines[0].strip(), int(lines[1].split()[0])
    kind = lines[2].strip()[:1].upper()
    if kind == "L":
        raise refusal("The stand-in does not rehearse KPOINTS along lines.")
    if number > 0:
        rows = np.array([[float(word) for word in line.split()[:4]] for line in lines[3 : 3 + number]])
        points, weights = rows[:, :3], rows[:, 3]
        if kind in {"C", "K"}:
            points = points @ arrangement.cell.T
        return Mesh(comment, "Listed", (0, 0, 0), (0.0, 0.0, 0.0), points, weights / weights.sum())
    if kind == "A":
        length = float(lines[3].split()[0])
        inverse = np.linalg.norm(np.linalg.inv(arrangement.cell), axis=0)
        divisions = _three(np.maximum(1, np.floor(length * inverse + 0.5)))
        return _regular(comment, "Gamma", divisions, (0.0, 0.0, 0.0), tags, arrangement)
    if kind not in {"G", "M"}:
        raise ValueError(kind)
    divisions = _three([int(word) for word in lines[3].split()[:3]])
    moved = [float(word) for word in lines[4].split()[:3]] if len(lines) > 4 and lines[4].strip() else [0.0] * 3
    if min(divisions) < 1 or len(moved) != 3:
        raise ValueError(lines[3])
    scheme = "Gamma" if kind == "G" else "Monkhorst-Pack"
    return _regular(comment, scheme, divisions, (moved[0], moved[1], moved[2]), tags, arrangement)


def _three(numbers: Any) -> tuple[int, int, int]:
    first, second, third = (int(number) for number in numbers)
    return first, second, third


def _regular(
    comment: str,
    scheme: str,
    divisions: tuple[int, int, int],
    shift: tuple[float, float, float],
    tags: dict[str, Any],
    arrangement: Arrangement,
) -> Mesh:
    """Return a mesh and what symmetry leaves of it, its shift rounded to halves of its steps."""
    centred = np.array(divisions) % 2 == 0 if scheme == "Monkhorst-Pack" else np.zeros(3, dtype=bool)
    halves = (np.rint(2 * np.array(shift)).astype(int) + centred) % 2
    grid, points = _irreducible(divisions, halves, tags.get("ISYM", 2), arrangement)
    kept, counts = np.unique(grid, return_counts=True)
    coordinates = (points[kept] + 0.5 * halves) / np.array(divisions)
    coordinates -= np.rint(coordinates - 1e-9)
    return Mesh(comment, scheme, divisions, shift, coordinates, counts / counts.sum())


def _irreducible(
    divisions: tuple[int, int, int], halves: NDArray[np.int_], isym: int, arrangement: Arrangement
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return for each point of the mesh the one that stands for it, and the mesh's integer coordinates."""
    numbers = [arrangement.symbols.index(symbol) for symbol in arrangement.species]
    crystal = (arrangement.cell.tolist(), arrangement.fractional.tolist(), numbers)
    found = None
    if isym > 0:
        found = spglib.get_ir_reciprocal_mesh(divisions, crystal, is_shift=halves, is_time_reversal=True)
    if found is None:
        identity = np.eye(3, dtype="intc")[None]
        found = spglib.get_stabilized_reciprocal_mesh(divisions, identity, is_shift=halves, is_time_reversal=isym >= 0)
    if found is None:
        raise refusal("The mesh of k-points could not be reduced by symmetry.")
    return found
