r"""Jumps of mobile ions between sites in a trajectory.

Around every site lies a core, a ball of 0.6 times half the distance to the nearest other site. An ion belongs to the
site whose core it entered last, and has jumped when it enters another's. Between the cores it stays where it was, so
that an ion that turns round at the saddle, however often it crosses the plane between two sites, has not jumped: the
transition-based assignment of Buchete & Hummer, J. Phys. Chem. B 112, 6057 (2008), and the core sets of Schütte et al.,
J. Chem. Phys. 134, 204105 (2011).

Why 0.6: cores of 1 touch, so that recrossings count again; small cores are missed by ions that pass through a site
quickly. Between octahedra of Li2ZrCl6, 3.0 Å apart along c, cores have 0.9 Å and leave 1.2 Å between them, three times
as far as Li at 1000 K goes in a frame of 20 fs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from lzc_flows.errors import InputError
from lzc_flows.transport.frames import frames_in_framework

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.motion import Motion

CORE = 0.6
"""Radius of a core over half the distance to the nearest other site."""


@dataclass(frozen=True, eq=False)
class Jumps:
    """Jumps between sites, by kind and one by one.

    Attributes
    ----------
    pairs
        Sites left and entered of each kind of jump that happened, shape (m, 2). Either way is a kind of its own.
    translations
        Cell of the site entered seen from that of the site left, for the sites' coordinates as given, shape (m, 3).
    counts
        How often it happened, shape (m,).
    times_ps
        Time that ions spent at each site, summed over the ions, ps, shape (sites,). The way to the next site's core
        counts for the site left.
    departures
        Jumps from each site, shape (sites,).
    length_ps
        Time from the first frame to the last plus one frame, ps.
    unassigned_ps
        Time that ions spent before they first entered a core, ps.
    frames, ions, kinds
        Frame, ion (counted among the mobile ones) and kind of every jump, in order of frames, shape (jumps,).
    """

    pairs: NDArray[np.int64]
    translations: NDArray[np.int64]
    counts: NDArray[np.int64]
    times_ps: NDArray[np.float64]
    departures: NDArray[np.int64]
    length_ps: float
    unassigned_ps: float
    frames: NDArray[np.int64]
    ions: NDArray[np.int64]
    kinds: NDArray[np.int64]

    @property
    def residence_ps(self) -> NDArray[np.float64]:
        """Mean time at each site between jumps, ps: time over departures, +inf where no ion departed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.departures > 0, self.times_ps / self.departures, np.inf)

    @property
    def occupations(self) -> NDArray[np.float64]:
        """Mean number of ions at each site."""
        return self.times_ps / self.length_ps

    @property
    def rates_per_ps(self) -> NDArray[np.float64]:
        """Rate of each kind of jump of an ion at the site left, 1/ps; its relative standard error is 1/√count."""
        return self.counts / self.times_ps[self.pairs[:, 0]]


def jumps(motion: Motion, fractional: NDArray[np.float64], mobile: str, core: float = CORE) -> Jumps:
    """Return the jumps of the mobile ions between sites.

    Parameters
    ----------
    motion
        The trajectory; frames close enough that an ion does not pass through a core unseen (some 20 fs).
    fractional
        Sites, fractional coordinates in the motion's cell, shape (sites, 3), wrapped or not: they scale with it. The
        framework is taken to be in its place in the first frame; its drift since then is taken off.
    mobile
        The mobile species.
    core
        Radius of a core over half the distance to the nearest other site (images included), above 0, at most 1.

    Raises
    ------
    InputError
        If there are no sites or two at the same place, the core is out of range, the mobile species is missing or
        alone, or a position is not finite.
    """
    fractional = np.asarray(fractional, dtype=np.float64)
    if fractional.ndim != 2 or fractional.shape[1:] != (3,) or not len(fractional):
        raise InputError(f"sites of shape {fractional.shape}: (sites, 3) with at least one site is allowed")
    if not 0 < core <= 1:
        raise InputError(f"core {core}: more than 0 and at most 1 of half the distance to the nearest site is allowed")
    cell = np.asarray(motion.cell, dtype=np.float64)
    places = _Places(fractional, cell, core)
    moving = motion.indices(mobile)
    sites = len(fractional)
    # site and cell that each ion belongs to; site −1 before it entered a core
    at = np.full((len(moving), 4), -1)
    frames_at, unassigned, found = np.zeros(sites, np.int64), 0, []
    for first, piece in frames_in_framework(motion, mobile):
        entered = places.cores(piece[:, moving])
        for ion in range(len(moving)):
            held, changes = _followed(at[ion], entered[:, ion])
            known = held[:, 0] >= 0
            frames_at += np.bincount(held[known, 0], minlength=sites)
            unassigned += int((~known).sum())
            before = np.vstack([at[ion], held])[changes]
            after, frame = held[changes], first + changes
            found.append(np.column_stack([frame, np.full(len(changes), ion), before[:, 0], after[:, 0],
                                          after[:, 1:] - before[:, 1:]]))  # fmt: skip
            at[ion] = held[-1]
    events = np.concatenate(found)
    events = events[np.argsort(events[:, 0], kind="stable")]
    kinds, of_event, counts = np.unique(events[:, 2:], axis=0, return_inverse=True, return_counts=True)
    return Jumps(
        pairs=kinds[:, :2],
        translations=kinds[:, 2:],
        counts=counts,
        times_ps=(frames_at * motion.time_step_ps).astype(np.float64),
        departures=np.bincount(events[:, 2], minlength=sites),
        length_ps=motion.frames * motion.time_step_ps,
        unassigned_ps=unassigned * motion.time_step_ps,
        frames=events[:, 0],
        ions=events[:, 1],
        kinds=of_event.ravel(),
    )


def _followed(start: NDArray[np.int64], entered: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the site and cell that an ion belongs to in each frame, and the frames in which it had jumped.

    `entered` holds the core that it is in, site −1 where in none, shape (frames, 4); `start` where it was before.
    """
    last = np.maximum.accumulate(np.where(entered[:, 0] >= 0, np.arange(len(entered)), -1))
    held = np.where((last >= 0)[:, None], entered[last], start)
    before = np.vstack([start, held[:-1]])
    return held, np.flatnonzero((held != before).any(axis=1) & (before[:, 0] >= 0))


class _Places:
    """Sites and as many of their images as a point in the cell can be nearest to."""

    def __init__(self, fractional: NDArray[np.float64], cell: NDArray[np.float64], core: float) -> None:
        self._inverse, self._cell = np.linalg.inv(cell), cell
        home = np.floor(fractional).astype(np.int64)
        # no point is farther from its nearest lattice point than half the diagonal of a box of the vectors' lengths
        reach = np.linalg.norm(cell) / 2 * np.linalg.norm(self._inverse, axis=0)
        ranges = [range(-math.ceil(one), math.ceil(one) + 1) for one in reach]
        shifts = np.array(list(product(*ranges)))
        images = (fractional - home)[:, None] + shifts
        site, image = np.nonzero(((images >= -reach - 1e-9) & (images <= 1 + reach + 1e-9)).all(axis=-1))
        self._sites, self._cells = site, shifts[image] - home[site]
        points = images[site, image] @ cell
        self._tree = cKDTree(points)
        wrapped = (fractional - home) @ cell
        # the second: the first is the site itself
        nearest = self._tree.query(wrapped, k=2)[0][:, 1]
        if not nearest.min() > 1e-6:
            raise InputError(f"site {int(np.argmin(nearest))}: another one is at the same place, allowed is one")
        self._radii = core / 2 * nearest

    def cores(self, positions: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the site and the cell of the core that each position (..., 3) is in, shape (..., 4); site −1: none."""
        fractional = positions @ self._inverse
        home = np.floor(fractional).astype(np.int64)
        distance, nearest = self._tree.query((fractional - home) @ self._cell)
        site = self._sites[nearest]
        inside = distance < self._radii[site]
        cores = np.concatenate([site[..., None], home + self._cells[nearest]], axis=-1)
        cores[~inside] = -1
        return cores
