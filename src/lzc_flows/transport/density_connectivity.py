"""Along which axes an iso-surface of a probability density connects through the crystal.

−ln(P/Pmax), a free energy in units of kT, is a field like that of BVSE: `lzc_flows.transport.basins` and
`lzc_flows.transport.percolation` find the level at which it percolates, exactly, without trying iso-values. A
direction is connected at the fraction f of Pmax if its threshold is at most −ln f. Nodes are neighbours as there:
across faces, edges and corners. Nodes that no ion came near are walls, at +inf.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.errors import InputError
from lzc_flows.transport.basins import basins
from lzc_flows.transport.percolation import TARGETS, Target, percolation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.density import Density

ISO_FRACTION = 1 / 50
"""The iso-surface at Pmax/50 of the doped-LZC paper (section 1.8)."""

TRUSTED_SAMPLES = 10.0
"""Effective samples that a node of the iso-surface should be from: a relative error of its density of about ⅓."""


@dataclass(frozen=True)
class Connectivity:
    """How a density is connected.

    Attributes
    ----------
    fraction
        Of Pmax: where the iso-surface lies.
    percolates
        For each of `lzc_flows.transport.percolation.TARGETS`, whether what the iso-surface encloses connects so.
    levels
        For each target the fraction of Pmax at which it first connects; 0 where it never does.
    levels_of_halves
        The same of the first and the second half of the trajectory, each of its own Pmax: how much to believe.
    samples_per_node
        Effective samples, on average, that a node of the iso-surface is from.
    notes
        What to know before using the numbers.
    """

    fraction: float
    percolates: dict[Target, bool]
    levels: dict[Target, float]
    levels_of_halves: tuple[dict[Target, float], dict[Target, float]]
    samples_per_node: float
    notes: tuple[str, ...] = ()


def connectivity(density: Density, fraction: float = ISO_FRACTION) -> Connectivity:
    """Return along which directions a density connects at a fraction of Pmax, and where each of them would.

    Raises
    ------
    InputError
        If the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise InputError(f"iso-surface at {fraction:g} of the highest density: between 0 and 1 is allowed")
    levels = _levels(density.per_angstrom3, density.lattice_angstrom)
    first, second = (_levels(half, density.lattice_angstrom) for half in density.halves)
    samples = density.samples_per_node(fraction)
    notes = []
    if samples < TRUSTED_SAMPLES:
        notes.append(
            f"nodes at {fraction:g} of the highest density are from {samples:.2g} independent samples each: the "
            "iso-surface there is noise, and a single hop connects; run longer, take a coarser grid or symmetry"
        )
    doubtful = [target for target in TARGETS if (first[target] >= fraction) != (second[target] >= fraction)]
    if doubtful:
        notes.append(f"the two halves of the trajectory disagree on whether it connects: {', '.join(doubtful)}")
    return Connectivity(
        fraction,
        {target: level >= fraction for target, level in levels.items()},
        levels,
        (first, second),
        samples,
        tuple(notes),
    )


def _levels(values: NDArray[np.float64], lattice_angstrom: NDArray[np.float64]) -> dict[Target, float]:
    """Return, for each target, the fraction of the highest value at which a field connects from above."""
    with np.errstate(divide="ignore"):
        # + 0.0: minus zero becomes zero
        depths = -np.log(values / values.max()) + 0.0
    thresholds = percolation(basins(depths, lattice_angstrom).graph).thresholds
    return {target: math.exp(-thresholds[target].level_ev) for target in TARGETS}
