r"""Diffusivity of one carrier that hops on a periodic network of sites, exactly.

A carrier (a vacancy or an interstitial, alone) leaves site i for j at the rate w_ij = ν exp[−(S_ij − E_i)/kT]. With the
Boltzmann weights π_i the conductance of a hop, g = π_i w_ij = π_j w_ji = ν exp(−S/kT)/Z, is the same both ways, and

    u·D·u = min over φ of Σ g (u·d + φ_j − φ_i)² ,

the sum over hops, d their displacements. The minimum is the solution of the linear system of bias vectors in Allnatt &
Lidiard, Atomic Transport in Solids (1993), Landman & Shlesinger, Phys. Rev. B 19, 6207 (1979) and Trinkle, Phil. Mag.
96, 2714 (2016) and 97, 2514 (2017): their ½Σπ_i w_ij d² plus a correction that is never positive. It depends on the
lattice translations of loops alone, not on where in the cell the sites lie.

Here φ is eliminated a site at a time: a star of conductances g_i becomes the mesh g_i g_j/Σg, and parallel hops merge
into their sum with their mean translation, which leaves the variance of the translations in D. Conductances are never
subtracted (as in the algorithm of Grassmann, Taksar & Heyman, Oper. Res. 33, 1107 (1985)). The cells of the sites are
chosen so that the strongest hops that connect them, a spanning tree, have no translation: a slow direction is not lost
in the rounding of a fast one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from lzc_flows.errors import InputError
from lzc_flows.transport.components import Components
from lzc_flows.transport.conductivity import BOLTZMANN_EV, CM2_S_PER_A2_PS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lzc_flows.transport.msd import Direction
    from lzc_flows.transport.sitegraph import SiteGraph

CM2_S_PER_A2_HZ = CM2_S_PER_A2_PS * 1e-12
"""One Å²·Hz in cm²/s."""

_DIFFERENCE = 1e-4  # of the exponents, to either side of 1/kT
_ROUNDING = 1e-12  # relative length below which a translation is perpendicular to a direction


@dataclass(frozen=True, eq=False)
class Network:
    """Sites and hops of a carrier in a crystal, and how often it tries them.

    Attributes
    ----------
    graph
        Energies of sites and saddles, translations of hops.
    fractional
        Fractional coordinates of the sites, shape (sites, 3), not wrapped: the graph's translations are from them.
    cell
        Rows are the lattice vectors, Å, shape (3, 3).
    attempt_hz
        Attempt frequency ν: one for all hops, or one for each, shape (edges,). It is the same both ways, so that
        detailed balance holds.

    Raises
    ------
    InputError
        Shapes that do not fit, a cell without volume, an attempt frequency that is not positive.
    """

    graph: SiteGraph
    fractional: NDArray[np.float64]
    cell: NDArray[np.float64]
    attempt_hz: float | NDArray[np.float64]

    def __post_init__(self) -> None:
        n, m = len(self.graph.energies_ev), len(self.graph.levels_ev)
        if np.shape(self.fractional) != (n, 3):
            raise InputError(f"coordinates of {n} sites: shape ({n}, 3) is allowed, found {np.shape(self.fractional)}")
        if np.shape(self.cell) != (3, 3) or not abs(np.linalg.det(self.cell)) > 0:
            raise InputError(
                f"cell {np.asarray(self.cell).tolist()}: three lattice vectors that span a volume are allowed"
            )
        attempt = np.asarray(self.attempt_hz)
        if attempt.shape not in {(), (m,)} or not (np.isfinite(attempt).all() and (attempt > 0).all()):
            raise InputError(f"attempt frequency: one positive number, or one for each of {m} hops, is allowed")

    def log_attempts(self) -> NDArray[np.float64]:
        """Return ln(ν/Hz) of every hop, shape (edges,)."""
        return np.broadcast_to(np.log(self.attempt_hz), self.graph.levels_ev.shape)


@dataclass(frozen=True, eq=False)
class Walk:
    """How a carrier diffuses on sites that hops connect.

    Attributes
    ----------
    sites
        The sites, ascending.
    share
        Share of the carriers on them in equilibrium.
    tensor_cm2_s
        Diffusion tensor D in Cartesian axes, cm²/s, shape (3, 3).
    D_cm2_s
        u·D·u along each lattice vector, mean over the plane of a and b, and over space (trace/3), cm²/s: half the
        slope of the mean squared displacement per dimension. Zero where no loop leads there.
    activation_ev
        −∂ln D/∂(1/kT) of each, eV, at this temperature; +inf where D is zero.
    """

    sites: NDArray[np.int64]
    share: float
    tensor_cm2_s: NDArray[np.float64]
    D_cm2_s: dict[Direction, float]
    activation_ev: dict[Direction, float]


@dataclass(frozen=True, eq=False)
class RandomWalk:
    """How one carrier diffuses on a network.

    Attributes
    ----------
    mean
        Over carriers in equilibrium on all sites, also where no hop leads from some sites to others.
    components
        For each set of connected sites by itself, the largest share first.
    """

    mean: Walk
    components: tuple[Walk, ...]


@dataclass(frozen=True, eq=False)
class Conductance:
    """What is left of a connected network of conductances once all sites but one are eliminated.

    Attributes
    ----------
    sites
        The sites of the component, ascending.
    log_scale
        Natural logarithm of the conductances' unit.
    tensor
        Σ g R⊗R of the loops that are left in Cartesian axes, Å² times the unit, shape (3, 3).
    along
        The same along a, b, c, the mean over the plane of a and b, and over space. Kept beside the tensor because
        a slow direction would be lost in the rounding of its elements.
    """

    sites: NDArray[np.int64]
    log_scale: float
    tensor: NDArray[np.float64]
    along: dict[Direction, float]

    def logs(self) -> NDArray[np.float64]:
        """Return the natural logarithms of `along`, Å² times the conductances' unit; −inf where it is zero."""
        with np.errstate(divide="ignore"):
            return np.log(list(self.along.values())) + self.log_scale


def random_walk(network: Network, temperature_k: float) -> RandomWalk:
    """Return how one independent carrier diffuses on a network, exactly.

    Parameters
    ----------
    network
        Sites and hops. Several hops between the same two sites and hops from a site to its own image count all.
    temperature_k
        Temperature, K.

    Raises
    ------
    InputError
        If the temperature is not positive.
    """
    inverse_kt = 1 / thermal_energy_ev(temperature_k)
    graph = network.graph
    energies = np.concatenate([graph.energies_ev, graph.levels_ev])
    step = _DIFFERENCE / max(float(np.ptp(energies)), 1 / inverse_kt)
    here, later, earlier = (_thermal(network, one) for one in (inverse_kt, inverse_kt + step, inverse_kt - step))
    order = np.argsort(-here.log_weights, kind="stable")
    walks = [_walk(here, later, earlier, [number], 2 * step) for number in order]
    return RandomWalk(_walk(here, later, earlier, list(order), 2 * step), tuple(walks))


def thermal_energy_ev(temperature_k: float) -> float:
    """Return kT in eV; raise InputError unless the temperature is positive."""
    if not (math.isfinite(temperature_k) and temperature_k > 0):
        raise InputError(f"temperature {temperature_k} K: more than zero is allowed")
    return BOLTZMANN_EV * temperature_k


@dataclass(frozen=True, eq=False)
class _Thermal:
    """Components at one temperature: what is left of each, and the logarithm of its partition function."""

    conductances: list[Conductance]
    log_weights: NDArray[np.float64]

    def log_d(self, chosen: list[int]) -> NDArray[np.float64]:
        """Return ln D (Å²·Hz) in every direction of carriers on some of the components."""
        logs = np.array([self.conductances[one].logs() for one in chosen])
        return logsumexp(logs, axis=0) - logsumexp(self.log_weights[chosen])


def _thermal(network: Network, inverse_kt: float) -> _Thermal:
    graph = network.graph
    found = conductances(network, network.log_attempts() - inverse_kt * graph.levels_ev)
    weights = [logsumexp(-inverse_kt * graph.energies_ev[one.sites]) for one in found]
    return _Thermal(found, np.array(weights))


def _walk(here: _Thermal, later: _Thermal, earlier: _Thermal, chosen: list[int], step: float) -> Walk:
    log_d, weight = here.log_d(chosen), float(logsumexp(here.log_weights[chosen]))
    activation = np.full(len(log_d), np.inf)
    moves = np.isfinite(log_d)
    activation[moves] = (earlier.log_d(chosen)[moves] - later.log_d(chosen)[moves]) / step
    parts = [here.conductances[one] for one in chosen]
    tensor = sum(math.exp(part.log_scale - weight) * part.tensor for part in parts) * CM2_S_PER_A2_HZ
    directions = parts[0].along
    return Walk(
        sites=np.sort(np.concatenate([part.sites for part in parts])),
        share=math.exp(weight - float(logsumexp(here.log_weights))),
        tensor_cm2_s=np.asarray(tensor),
        D_cm2_s=dict(zip(directions, (np.exp(log_d) * CM2_S_PER_A2_HZ).tolist(), strict=True)),
        activation_ev=dict(zip(directions, activation.tolist(), strict=True)),
    )


def conductances(network: Network, log_conductances: NDArray[np.float64]) -> list[Conductance]:
    """Return what is left of every connected component once all its sites but one are eliminated.

    Parameters
    ----------
    network
        Sites and hops; their energies and attempt frequencies do not matter here.
    log_conductances
        Natural logarithm of every hop's conductance, shape (edges,). Those more than e⁷⁰⁰ below the largest of
        their component count as none.

    Returns
    -------
    list
        In the order of the components' first sites.
    """
    graph = network.graph
    components = Components(graph.energies_ev.tolist())
    for edge in np.argsort(-log_conductances, kind="stable").tolist():
        one, other = graph.sites[edge].tolist()
        components.join(one, other, graph.translations[edge].tolist())
    found = [components.find(site) for site in range(len(graph.energies_ev))]
    roots = np.array([root for root, _ in found])
    cells = np.array([cell for _, cell in found])
    first, second = graph.sites.T
    # net translation of the loop that a hop closes with the strongest hops; zero for these
    windings = graph.translations + cells[second] - cells[first]

    units = _directions(network.cell)
    projected = windings @ network.cell @ units.T
    longest = np.linalg.norm(windings, axis=1) * np.linalg.norm(network.cell, axis=1).max()
    projected[np.abs(projected) < _ROUNDING * longest[:, None]] = 0
    results = []
    for root in dict.fromkeys(roots.tolist()):
        sites, edges = np.flatnonzero(roots == root), np.flatnonzero(roots[first] == root)
        scale = float(log_conductances[edges].max(initial=-np.inf)) if len(edges) else 0.0
        strengths = np.exp(log_conductances[edges] - scale)
        ends = np.searchsorted(sites, graph.sites[edges])
        squares = _eliminated(len(sites), ends, strengths, projected[edges])
        results.append(Conductance(sites, scale, squares[:3, :3], _along(squares)))
    return results


def _directions(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors: x, y, z, along a, b, c, and the one in the plane of a and b that is normal to a."""
    axes = cell / np.linalg.norm(cell, axis=1, keepdims=True)
    across = np.cross(np.cross(cell[0], cell[1]), axes[0])
    return np.vstack([np.eye(3), axes, across / np.linalg.norm(across)])


def _along(squares: NDArray[np.float64]) -> dict[Direction, float]:
    x, y, z, a, b, c, across = np.diag(squares).tolist()
    return {"total": (x + y + z) / 3, "a": a, "b": b, "c": c, "ab": (a + across) / 2}


def _eliminated(
    n: int, ends: NDArray[np.int64], strengths: NDArray[np.float64], shifts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return min over φ of Σ g (y + φ_j − φ_i)⊗(y + φ_j − φ_i).

    Shapes: ends (edges, 2), strengths g (edges,), shifts y (edges, k); result (k, k).
    """
    k = shifts.shape[1]
    joined, shift, squares = np.zeros((n, n)), np.zeros((n, n, k)), np.zeros((k, k))
    for (i, j), strength, y in zip(ends.tolist(), strengths.tolist(), shifts, strict=True):
        if i == j:
            squares += strength * np.outer(y, y)
        elif strength > 0:
            old, both = joined[i, j], joined[i, j] + strength
            apart = shift[i, j] - y
            squares += old * (strength / both) * np.outer(apart, apart)
            # means with positive weights, not corrections of each other: a small one keeps its digits
            shift[i, j] = old / both * shift[i, j] + strength / both * y
            shift[j, i] = -shift[i, j]
            joined[i, j] = joined[j, i] = both
    left = np.ones(n, dtype=bool)
    for _ in range(n - 1):
        # the site with the fewest neighbours first: the mesh stays sparse for long
        node = int(np.argmin(np.where(left, np.count_nonzero(joined, axis=1), n + 1)))
        left[node] = False
        near = np.flatnonzero(joined[node])
        star, there = joined[node, near], shift[node, near]
        joined[node], joined[:, node] = 0, 0
        mesh, block = np.outer(star, star / star.sum()), np.ix_(near, near)
        np.fill_diagonal(mesh, 0)
        old, step = joined[block], there[None, :] - there[:, None]
        both = old + mesh
        share = np.divide(mesh, both, out=np.zeros_like(mesh), where=both > 0)
        rest = np.divide(old, both, out=np.zeros_like(mesh), where=both > 0)
        apart = shift[block] - step
        # every pair stands twice
        squares += 0.5 * np.einsum("ij,ijk,ijl->kl", old * share, apart, apart)
        shift[block] = rest[..., None] * shift[block] + share[..., None] * step
        joined[block] = both
    return squares
