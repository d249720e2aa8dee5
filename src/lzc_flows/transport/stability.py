r"""Whether the framework of a simulation stayed a crystal while the mobile ions moved.

What is measured, of the framework (all atoms but the mobile ones) and relative to its centre:

- **Left its site**: an atom whose mean place over the last quarter of the frames is farther from that over the first
  quarter than half the distance to its nearest neighbour in the framework. Means do not see vibrations, however large.
- **Vibration**: the mean square distance from the mean place, ⟨u²⟩, over each half of the frames; the MSD of atoms
  that stay ends at the plateau 2⟨u²⟩. Of a random walk it would grow with the length of the halves, and the mean places
  of the two halves would lie apart by 4 ⟨u²⟩ (their mean square): `drift_A2` tells.
- **Lindemann's ratio**: the root of ⟨u²⟩ over the distance to the nearest neighbour in the framework. Crystals melt at
  0.10 to 0.15 (Lindemann, Phys. Z. 11, 609 (1910); Zhou, Karplus, Ball & Berry, J. Chem. Phys. 116, 2323 (2002)).
  It makes a note and no label: a superheated crystal exceeds it, and stays one for as long as a simulation lasts.
- **Exchanged its shell**: a cation for which a bond to some anion (`lzc_flows.transport.shells`) exists most of the
  time in the first quarter and not in the last, or the reverse.

The label is the first of these that holds; ⅓ is ours, far from both the few hops of defects and a melt, in which all
move:

================== ====================================================================================
melted             ⅓ or more of the cations and ⅓ or more of the anions left their sites
decomposed         the mean coordination number of ⅓ or more of the cations changed by 1 or more
cation diffusion   ⅓ or more of the cations left their sites
anion diffusion    ⅓ or more of the anions left their sites, and ⅓ or more of the cations exchanged their shells
framework hops     any cation left its site or exchanged its shell
anion rotation     any anion left its site: it rotates about a cation that keeps it
stable             none of these
================== ====================================================================================

Without cations or without anions in the framework, the rules that need them are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lzc_flows.errors import InputError
from lzc_flows.transport.frames import frames_in_framework, framework_atoms
from lzc_flows.transport.shells import Ions, distances_to_images, shells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.motion import Motion

Label = Literal[
    "melted", "decomposed", "cation diffusion", "anion diffusion", "framework hops", "anion rotation", "stable"
]
INTACT: tuple[Label, ...] = ("stable", "anion rotation", "framework hops")
"""Labels of a framework through which mobile ions still diffuse as in the crystal."""

ANIONS = frozenset({"F", "Cl", "Br", "I", "O", "S", "Se", "Te", "N"})
"""Elements of a framework that count as anions; all others are its cations."""

MANY = 1 / 3
"""Share of the atoms from which on a change is one of the framework, not of a defect."""

LINDEMANN = 0.15
"""Ratio above which a note is made, the upper end of what crystals melt at."""

LEAST_FRAMES = 40

_QUARTERS = 4
_MOSTLY = 0.5  # change of the share of frames in which a bond exists
_SELF_ANGSTROM = 1e-6  # two atoms are never so close
_SAMPLED_FRAMES = 200  # of which bonds are looked at: they last for many vibrations


@dataclass(frozen=True)
class SpeciesMotion:
    """How the framework atoms of one species moved.

    Attributes
    ----------
    atoms, left
        Number of atoms, and of those that left their sites.
    vibration_A2
        ⟨u²⟩ over the first and over the second half of the frames, Å² in three dimensions, mean over the atoms.
    drift_A2
        Mean square distance between the mean places of the two halves, Å²: of atoms that stay it is small beside
        ⟨u²⟩, of a random walk four times it.
    neighbour_angstrom
        Mean distance to the nearest neighbour in the framework, between mean places, Å.
    lindemann
        Lindemann's ratio, from the mean of both halves.
    """

    atoms: int
    left: int
    vibration_A2: tuple[float, float]
    drift_A2: float
    neighbour_angstrom: float
    lindemann: float


@dataclass(frozen=True, eq=False)
class Coordination:
    """Bonds of the framework's cations of one element.

    Attributes
    ----------
    cations, exchanged, changed
        Number of cations; of those whose shell exchanged, gained or lost anions for good; of those whose mean
        coordination number changed by 1 or more.
    first, last
        Mean coordination number over the first and the last quarter of the frames.
    number
        Coordination number, mean over the cations, at `Stability.time_ps`, shape (times,).
    cutoff_angstrom
        Of a bond to each element of anions, Å.
    """

    cations: int
    exchanged: int
    changed: int
    first: float
    last: float
    number: NDArray[np.float64]
    cutoff_angstrom: dict[str, float]


@dataclass(frozen=True, eq=False)
class Stability:
    """What became of a framework.

    Attributes
    ----------
    label
        See the module.
    motion
        For each species of the framework.
    coordination
        For each element of its cations; empty without cations or anions.
    time_ps
        Times since the first frame at which bonds were looked at, ps, shape (times,).
    notes
        What to know besides.
    """

    label: Label
    motion: dict[str, SpeciesMotion]
    coordination: dict[str, Coordination]
    time_ps: NDArray[np.float64]
    notes: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether diffusivities of the mobile ions are those of the crystal."""
        return self.label in INTACT


@dataclass(frozen=True, eq=False)
class _Quarters:
    """Framework atoms in the four quarters of the frames, one after the other.

    `start` (atoms, 3): places in the first frame, Å; `means` (4, atoms, 3): mean displacements from there, Å; `squares`
    (4, atoms): mean squares of these displacements, Å²; `sampled` (times, atoms, 3): places in the frames `numbers`
    (times,), Å.
    """

    start: NDArray[np.float64]
    means: NDArray[np.float64]
    squares: NDArray[np.float64]
    sampled: NDArray[np.float64]
    numbers: NDArray[np.int64]


def stability(motion: Motion, mobile: str) -> Stability:
    """Return what became of the framework of a trajectory, in one pass and constant memory.

    Parameters
    ----------
    motion
        The trajectory, without its heat-up; where the cell breathes, its mean cell is taken for bonds.
    mobile
        The mobile species, a chemical symbol; all other atoms are the framework.

    Raises
    ------
    InputError
        If the mobile species is missing or alone, a position is not finite, or there are fewer than 40 frames.
    """
    if motion.frames < LEAST_FRAMES:
        raise InputError(f"trajectory of {motion.frames} frames: at least {LEAST_FRAMES} show whether it is stable")
    atoms = framework_atoms(motion, mobile)
    species = np.array(motion.species)[atoms]
    quarters = _quarters(motion, mobile, atoms)
    cell = np.asarray(motion.cell, dtype=np.float64)
    nearest = _nearest_neighbours(quarters.start + quarters.means[0], cell)
    left = np.linalg.norm(quarters.means[-1] - quarters.means[0], axis=1) > nearest / 2
    moved = {
        str(symbol): _species_motion(quarters, nearest, left, np.flatnonzero(species == symbol))
        for symbol in np.unique(species)
    }
    coordination = _coordination(quarters, species, cell)
    notes = tuple(
        f"Lindemann's ratio of {symbol} is {one.lindemann:.2f}: above {LINDEMANN:g}, where crystals melt in time"
        for symbol, one in moved.items()
        if one.lindemann > LINDEMANN
    )
    time_ps = motion.time_step_ps * quarters.numbers.astype(np.float64)
    return Stability(_label(moved, coordination), moved, coordination, time_ps, notes)


def _label(moved: dict[str, SpeciesMotion], coordination: dict[str, Coordination]) -> Label:
    anions = [one for symbol, one in moved.items() if symbol in ANIONS]
    cations = [one for symbol, one in moved.items() if symbol not in ANIONS]
    anions_left, cations_left = (
        _share(sum(k.left for k in kind), sum(k.atoms for k in kind)) for kind in (anions, cations)
    )
    bonded = sum(one.cations for one in coordination.values())
    exchanged = _share(sum(one.exchanged for one in coordination.values()), bonded)
    changed = _share(sum(one.changed for one in coordination.values()), bonded)
    # a framework of one kind melts when that kind does
    present = [share for share, kind in ((anions_left, anions), (cations_left, cations)) if kind]
    rules: tuple[tuple[Label, bool], ...] = (
        ("melted", min(present) >= MANY),
        ("decomposed", changed >= MANY),
        ("cation diffusion", cations_left >= MANY),
        ("anion diffusion", anions_left >= MANY and exchanged >= MANY),
        ("framework hops", max(cations_left, exchanged) > 0),
        ("anion rotation", anions_left > 0),
    )
    return next((label for label, holds in rules if holds), "stable")


def _share(some: int, of: int) -> float:
    return some / of if of else 0.0


def _quarters(motion: Motion, mobile: str, atoms: NDArray[np.int64]) -> _Quarters:
    numbers = np.unique(np.linspace(0, motion.frames - 1, _SAMPLED_FRAMES).astype(np.int64))
    bounds = np.linspace(0, motion.frames, _QUARTERS + 1).astype(np.int64)
    start = np.asarray(motion.positions[0], dtype=np.float64)[atoms]
    sums = np.zeros((_QUARTERS, len(atoms), 3))
    squares = np.zeros((_QUARTERS, len(atoms)))
    sampled = []
    for first, piece in frames_in_framework(motion, mobile):
        # counted from the start, so that squares lose no digits
        moved = piece[:, atoms] - start
        sampled.append(moved[numbers[(numbers >= first) & (numbers < first + len(piece))] - first])
        for quarter in range(_QUARTERS):
            low, high = np.clip(bounds[quarter : quarter + 2] - first, 0, len(piece))
            sums[quarter] += moved[low:high].sum(axis=0)
            squares[quarter] += np.einsum("tad,tad->a", moved[low:high], moved[low:high])
    lengths = np.diff(bounds)[:, None]
    return _Quarters(start, sums / lengths[..., None], squares / lengths, start + np.concatenate(sampled), numbers)


def _nearest_neighbours(places: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance from each place to the nearest other one or image, Å, shape (places,)."""
    distances = distances_to_images(places[None] - places[:, None], cell)
    distances[distances < _SELF_ANGSTROM] = np.inf
    return distances.min(axis=(1, 2))


def _species_motion(
    quarters: _Quarters, nearest: NDArray[np.float64], left: NDArray[np.bool_], rows: NDArray[np.int64]
) -> SpeciesMotion:
    # quarters differ in length by one frame at most, which is neglected
    means = quarters.means[:, rows].reshape(2, 2, len(rows), 3).mean(axis=1)
    squares = quarters.squares[:, rows].reshape(2, 2, len(rows)).mean(axis=1)
    vibration = (squares - (means**2).sum(axis=2)).mean(axis=1)
    neighbour = float(nearest[rows].mean())
    return SpeciesMotion(
        atoms=len(rows),
        left=int(left[rows].sum()),
        vibration_A2=(float(vibration[0]), float(vibration[1])),
        drift_A2=float(((means[1] - means[0]) ** 2).sum(axis=1).mean()),
        neighbour_angstrom=neighbour,
        lindemann=math.sqrt(vibration.mean()) / neighbour,
    )


def _coordination(quarters: _Quarters, species: NDArray[np.str_], cell: NDArray[np.float64]) -> dict[str, Coordination]:
    is_anion = np.isin(species, list(ANIONS))
    if is_anion.all() or not is_anion.any():
        return {}
    cations, anions = np.flatnonzero(~is_anion), np.flatnonzero(is_anion)
    ions = [Ions(quarters.sampled[:, rows], species[rows].tolist()) for rows in (cations, anions)]
    found = shells(ions[0], ions[1], cell)
    quarter = max(1, len(quarters.numbers) // _QUARTERS)
    first, last = found.bonds[:quarter].mean(axis=0), found.bonds[-quarter:].mean(axis=0)
    exchanged = (np.abs(last - first) > _MOSTLY).any(axis=1)
    number = found.bonds.sum(axis=2)
    early, late = number[:quarter].mean(axis=0), number[-quarter:].mean(axis=0)
    changed = np.abs(late - early) >= 1
    results = {}
    for symbol in np.unique(species[cations]).tolist():
        rows = np.flatnonzero(species[cations] == symbol)
        results[symbol] = Coordination(
            cations=len(rows),
            exchanged=int(exchanged[rows].sum()),
            changed=int(changed[rows].sum()),
            first=float(early[rows].mean()),
            last=float(late[rows].mean()),
            number=number[:, rows].mean(axis=1),
            cutoff_angstrom={
                anion: cutoff for (cation, anion), cutoff in found.cutoff_angstrom.items() if cation == symbol
            },
        )
    return results
