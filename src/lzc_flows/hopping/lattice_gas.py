r"""Many ions that hop on a network of sites and exclude each other, by kinetic Monte Carlo.

An ion on site i goes to a vacant site j at the rate ν exp[−(S_ij − E_i)/kT], whatever stands elsewhere. One hop happens
at a time, chosen by its rate, after a time drawn from the exponential distribution (Bortz, Kalos & Lebowitz,
J. Comput. Phys. 17, 10 (1975)): no attempt is rejected.

Detailed balance holds, and exclusion is all that interacts, so the equilibrium is known: a set of sites is occupied
with a probability proportional to Π exp(−E_i/kT). Runs start from sets drawn from it exactly (the conditional Bernoulli
distribution, Chen & Liu, Stat. Sinica 7, 875 (1997)) and need no equilibration. In equilibrium with detailed balance
the slope of the mean squared displacement never rises, so a diffusivity from too short a window is too large, not too
small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

from lzc_flows.errors import InputError
from lzc_flows.hopping.mean_field import mean_rate
from lzc_flows.hopping.random_walk import CM2_S_PER_A2_HZ, Network, thermal_energy_ev
from lzc_flows.transport.einstein import Estimate, local_slopes
from lzc_flows.transport.msd import DIMENSIONS, projected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.msd import Direction

_WINDOWS = 10  # length of a run, in windows τ
_FRAMES = 8  # in a window


@dataclass(frozen=True)
class Filling:
    """How many ions there are, in how large a cell, at which temperature.

    Attributes
    ----------
    temperature_k
        Temperature, K.
    ions
        In all of the supercell, at least one fewer than sites.
    repeats
        How often the network's cell is repeated along a, b and c.

    Raises
    ------
    InputError
        A temperature that is not positive, no ion, or repeats that are not positive integers.
    """

    temperature_k: float
    ions: int
    repeats: tuple[int, int, int] = (1, 1, 1)

    def __post_init__(self) -> None:
        thermal_energy_ev(self.temperature_k)
        if self.ions < 1:
            raise InputError(f"{self.ions} ions: at least one is allowed")
        if len(self.repeats) != 3 or any(int(n) != n or n < 1 for n in self.repeats):
            raise InputError(f"supercell {list(self.repeats)}: three positive integers are allowed, such as [2, 2, 1]")


@dataclass(frozen=True)
class Sampling:
    """How much is simulated.

    Attributes
    ----------
    seed
        Of the random numbers: the same seed gives the same result.
    runs
        Independent runs, each of 10 windows; their scatter is the error.
    window_hops
        Hops of an ion in a window τ, on average. Many where most hops are taken back.

    Raises
    ------
    InputError
        Fewer than two runs, or a window without hops.
    """

    seed: int = 0
    runs: int = 24
    window_hops: float = 100.0

    def __post_init__(self) -> None:
        if self.runs < 2:
            raise InputError(f"{self.runs} run(s): at least two are allowed, for their scatter is the error")
        if not (math.isfinite(self.window_hops) and self.window_hops > 0):
            raise InputError(f"{self.window_hops} hops in a window: more than zero are allowed")


@dataclass(frozen=True, eq=False)
class LatticeGas:
    """How ions that exclude each other diffuse.

    Attributes
    ----------
    tracer
        Diffusivity of single ions along a, b, c, in the plane of a and b, and in space, cm²/s: the slope of the mean
        squared displacement in [τ, 2τ].
    charge
        That of the charge, from the displacement of all ions together (squared, over their number), cm²/s.
    shorter_window
        Tracer diffusivities from [τ/2, τ]: where they are larger beyond the errors, the window is too short.
    occupations
        Mean number of ions on each of the network's sites, shape (sites,).
    window_s
        τ, s.
    hops
        Number of hops in all runs.
    """

    tracer: dict[Direction, Estimate]
    charge: dict[Direction, Estimate]
    shorter_window: dict[Direction, Estimate]
    occupations: NDArray[np.float64]
    window_s: float
    hops: int


class _Hops(NamedTuple):
    """Directed hops of the supercell, sorted by the site they leave; those of site s are starts[s] to starts[s + 1]."""

    starts: NDArray[np.int64]
    targets: NDArray[np.int64]
    rates: NDArray[np.float64]
    shifts: NDArray[np.int64]  # in cells of the network, shape (hops, 3)


def lattice_gas(network: Network, filling: Filling, sampling: Sampling | None = None) -> LatticeGas:
    """Return how ions that exclude each other diffuse, by kinetic Monte Carlo.

    Errors are the scatter of independent runs. Where components of the network are not connected, each run
    draws anew how many ions each holds.

    Raises
    ------
    InputError
        If there are as many ions as sites, if no ion can hop, or if a hop leads from a site of the supercell to its own
        image, on which the ion would meet itself.
    """
    sampling = sampling or Sampling()
    n, cells = len(network.graph.energies_ev), math.prod(filling.repeats)
    if filling.ions >= n * cells:
        raise InputError(f"{filling.ions} ions on {n * cells} sites: at most {n * cells - 1}, or none can move")
    kt = thermal_energy_ev(filling.temperature_k)
    hops = _supercell_hops(network, filling.repeats, kt)
    window = sampling.window_hops / mean_rate(network, filling.temperature_k, filling.ions / cells)
    times = np.linspace(0, _WINDOWS * window, _WINDOWS * _FRAMES + 1)
    exponents = np.tile(-network.graph.energies_ev / kt, cells)
    draws = _Draws(exponents, filling.ions)
    home = np.tile(network.fractional, (cells, 1))

    slopes: dict[str, list[NDArray[np.float64]]] = {"tracer": [], "charge": [], "shorter": []}
    dwelt, done = np.zeros(n), 0
    for seed in np.random.SeedSequence(sampling.seed).spawn(sampling.runs):
        random = np.random.default_rng(seed)
        sites = draws.draw(random)
        shape = (len(times), filling.ions)
        visited, moved = np.empty(shape, np.int64), np.empty((*shape, 3), np.int64)
        dwell = np.zeros(n * cells)
        done += _run(hops, sites, times, random, visited, moved, dwell)
        dwelt += dwell.reshape(cells, n).sum(axis=0) / (cells * times[-1])
        places = (moved + home[visited] - home[visited[0]]) @ network.cell
        centre = places.sum(axis=1, keepdims=True) / math.sqrt(filling.ions)
        slopes["tracer"].append(_slope(places, _FRAMES))
        slopes["charge"].append(_slope(centre, _FRAMES))
        slopes["shorter"].append(_slope(places, _FRAMES // 2))
    # Å² per frame to cm²/s
    unit = _FRAMES / window * CM2_S_PER_A2_HZ
    found = {name: _estimates(np.array(some) * unit, network.cell) for name, some in slopes.items()}
    return LatticeGas(found["tracer"], found["charge"], found["shorter"], dwelt / sampling.runs, window, done)


def _supercell_hops(network: Network, repeats: tuple[int, int, int], kt: float) -> _Hops:
    graph = network.graph
    n = len(graph.energies_ev)
    sources = np.concatenate([graph.sites[:, 0], graph.sites[:, 1]])
    targets = np.concatenate([graph.sites[:, 1], graph.sites[:, 0]])
    shifts = np.concatenate([graph.translations, -graph.translations])
    exponents = np.tile(network.log_attempts() - graph.levels_ev / kt, 2)
    rates = np.exp(exponents + graph.energies_ev[sources] / kt)
    cells = np.stack(np.unravel_index(np.arange(math.prod(repeats)), repeats), axis=1)
    there = np.ravel_multi_index(tuple(np.moveaxis(cells[:, None] + shifts, -1, 0)), repeats, mode="wrap")
    all_sources = (np.arange(len(cells))[:, None] * n + sources).ravel()
    all_targets = (there * n + targets).ravel()
    if (all_sources == all_targets).any():
        raise InputError(f"supercell {list(repeats)}: a hop leads from a site to its own image, repeat it more often")
    order = np.argsort(all_sources, kind="stable")
    starts = np.searchsorted(all_sources[order], np.arange(n * len(cells) + 1))
    return _Hops(starts, all_targets[order], np.tile(rates, len(cells))[order], np.tile(shifts, (len(cells), 1))[order])


class _Draws:
    """Draws sets of so many sites, each with a probability proportional to the product of exp(exponents)."""

    def __init__(self, exponents: NDArray[np.float64], ions: int) -> None:
        self._exponents, self._ions = exponents, ions
        # ln of the elementary symmetric polynomials of the first sites: [sites, ions]
        self._sums = np.full((len(exponents) + 1, ions + 1), -np.inf)
        self._sums[0, 0] = 0
        for site, exponent in enumerate(exponents):
            self._sums[site + 1] = self._sums[site]
            self._sums[site + 1, 1:] = np.logaddexp(self._sums[site, 1:], self._sums[site, :-1] + exponent)

    def draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Return the sites of the ions in random order, shape (ions,)."""
        left, chosen = self._ions, []
        for site in range(len(self._exponents) - 1, -1, -1):
            if left == 0:
                break
            with_it = self._sums[site, left - 1] + self._exponents[site] - self._sums[site + 1, left]
            if random.random() < math.exp(with_it):
                chosen.append(site)
                left -= 1
        return random.permutation(np.array(chosen, dtype=np.int64))


def _slope(places: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """Return D of a run as a tensor, Å² per frame, shape (3, 3)."""
    return local_slopes(places, lag).mean(axis=0) / (2 * lag)


def _estimates(tensors: NDArray[np.float64], cell: NDArray[np.float64]) -> dict[Direction, Estimate]:
    runs = len(tensors)
    results: dict[Direction, Estimate] = {}
    for direction, dimensions in DIMENSIONS.items():
        values = projected(tensors, cell, direction) / dimensions
        results[direction] = Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(runs), runs - 1)
    return results


@numba.njit(cache=True, nogil=True)
def _run(
    hops: _Hops,
    sites: NDArray[np.int64],
    times: NDArray[np.float64],
    random: np.random.Generator,
    visited: NDArray[np.int64],
    moved: NDArray[np.int64],
    dwell: NDArray[np.float64],
) -> int:
    """Follow the ions over all times; return the number of hops.

    Filled: sites of the ions at every time, their cells since the start, and the time that each site was occupied.
    """
    starts, targets, rates, shifts = hops
    ions = len(sites)
    leaves = 1
    while leaves < ions:
        leaves *= 2
    # sums of the ions' rates over a binary tree; each is a sum of what is below, so no rounding piles up
    tree = np.zeros(2 * leaves)
    ion_at = np.full(len(starts) - 1, -1)
    since = np.zeros(ions)
    cell = np.zeros((ions, 3), np.int64)
    site = sites.copy()
    for ion in range(ions):
        ion_at[site[ion]] = ion
    for ion in range(ions):
        tree[leaves + ion] = _free_rate(hops, site[ion], ion_at)
    for node in range(leaves - 1, 0, -1):
        tree[node] = tree[2 * node] + tree[2 * node + 1]

    clock, frame, count = 0.0, 0, 0
    while True:
        clock = clock + random.standard_exponential() / tree[1] if tree[1] > 0 else np.inf
        while frame < len(times) and times[frame] < clock:
            visited[frame] = site
            moved[frame] = cell
            frame += 1
        if frame == len(times):
            break
        ion = _picked(tree, leaves, random.random())
        here = site[ion]
        left, chosen = random.random() * tree[leaves + ion], -1
        for hop in range(starts[here], starts[here + 1]):
            if ion_at[targets[hop]] < 0:
                # the last vacant one, where rounding leaves a rest
                chosen = hop
                left -= rates[hop]
                if left < 0:
                    break
        there = targets[chosen]
        cell[ion] += shifts[chosen]
        dwell[here] += clock - since[ion]
        since[ion], site[ion] = clock, there
        ion_at[here], ion_at[there] = -1, ion
        count += 1
        _renew(tree, leaves + ion, _free_rate(hops, there, ion_at))
        for end in (here, there):
            for hop in range(starts[end], starts[end + 1]):
                other = ion_at[targets[hop]]
                if other >= 0 and other != ion:
                    _renew(tree, leaves + other, _free_rate(hops, site[other], ion_at))
    for ion in range(ions):
        dwell[site[ion]] += times[-1] - since[ion]
    return count


@numba.njit(cache=True, nogil=True)
def _free_rate(hops: _Hops, site: int, ion_at: NDArray[np.int64]) -> float:
    starts, targets, rates, _ = hops
    total = 0.0
    for hop in range(starts[site], starts[site + 1]):
        if ion_at[targets[hop]] < 0:
            total += rates[hop]
    return total


@numba.njit(cache=True, nogil=True)
def _picked(tree: NDArray[np.float64], leaves: int, fraction: float) -> int:
    """Return the ion in whose share of all rates a fraction of their sum lies."""
    node, left = 1, fraction * tree[1]
    while node < leaves:
        node *= 2
        # never into a branch without rates, whatever rounding leaves
        if left >= tree[node] and tree[node + 1] > 0:
            left -= tree[node]
            node += 1
    return node - leaves


@numba.njit(cache=True, nogil=True)
def _renew(tree: NDArray[np.float64], node: int, value: float) -> None:
    tree[node] = value
    node //= 2
    while node > 0:
        tree[node] = tree[2 * node] + tree[2 * node + 1]
        node //= 2
