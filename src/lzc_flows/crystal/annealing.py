"""A Monte Carlo search for the arrangements of lowest energy, where there are too many to list.

Independent runs of simulated annealing (Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983),
doi:10.1126/science.220.4598.671), each from a uniformly random arrangement. A move takes an ion to another site of its
sublattice, or lets it change places with the ion there if that one may go where it came from; it is accepted by the
rule of Metropolis et al. (J. Chem. Phys. 21, 1087 (1953), doi:10.1063/1.1699114). The potential u + Mδ is kept, so that
trying a move takes as long in a cell of any size; only an accepted one is paid for by the number of sites.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal.counting import arrangements
from lzc_flows.crystal.enumeration import Enumeration, Orbits
from lzc_flows.crystal.orbits import Placement, canonical, stabiliser_orders
from lzc_flows.crystal.quadratic import QuadraticForm
from lzc_flows.crystal.sampling import energies_of, kinds_of, random_states
from lzc_flows.crystal.survey import TIE, best_first
from lzc_flows.errors import InputError

RUNS = 32

MOVES_PER_ION = 100_000
"""Moves tried in a run, times the number of ions."""

MOST_MOVES = 3_000_000
"""Moves tried in a run at most. 32 runs then take 7 s on two busy cores (30 ions in a cell of 288 sites)."""

WARMEST, COLDEST = 0.2, 5e-3
"""First and last temperature (kT) over the standard deviation of the energies of all arrangements. Of first
temperatures of 0.1 to 1 and last ones of 0.001 to 0.03, those near these brought the most runs to the lowest energy."""

_WARMING = 1_000
"""Random arrangements that give the standard deviation."""

_KEPT = 2_000
"""Best arrangements that a run keeps, or as many as orbits are wanted."""

_IMAGES = 2**22
"""Sites of images held while arrangements are made canonical: 20 MB."""

_ROOM = 1_024
"""Arrangements noted beyond those kept before the best are picked again."""

_MOVES_PER_TEMPERATURE = 64


@dataclass(frozen=True)
class Search:
    """What the search found.

    Attributes
    ----------
    lowest
        The best orbits found, the best first, in the order of `survey.Survey.lowest`. Each comes once, as the
        representative that `Enumeration` gives.
    runs
        Number of independent runs; 0 where the ions cannot change the energy and nothing was searched: `lowest` then
        holds random orbits.
    runs_at_lowest
        How many of the runs found the lowest energy of all (within `survey.TIE`).
    """

    lowest: Orbits
    runs: int
    runs_at_lowest: int


def search(enumeration: Enumeration, size: int, seed: int, runs: int = RUNS) -> Search:
    """Return the `size` best orbits that annealing finds, fewer if it meets fewer; the same seed gives the same.

    Raises
    ------
    InputError
        `size` or `runs` is below 1 or `seed` is negative.
    """
    for name, number, least in (("number of lowest orbits", size, 1), ("number of runs", runs, 1), ("seed", seed, 0)):
        if number < least:
            raise InputError(f"{name} {number}: {least} and above is allowed")
    placements = enumeration.placements
    form = enumeration.form
    own, *seeds = np.random.SeedSequence(seed).spawn(runs + 1)
    random = np.random.default_rng(own)
    if all_tie(placements, form):
        states = random_states(placements, 2 * size + _ROOM, random)
        return Search(_distinct(enumeration, form, states, size), 0, 0)
    problem = _problem(placements, form)
    warming = energies_of(random_states(placements, _WARMING, random), placements, form)
    deviation = max(float(warming.std()), TIE)
    moves = min(MOVES_PER_ION * len(problem.kinds), MOST_MOVES)
    schedule = _Schedule(moves, WARMEST * deviation, COLDEST * deviation)

    # an orbit is met as up to one arrangement an operation
    kept = max(size, min(size * len(enumeration.group), _KEPT))

    def run(start: NDArray[np.int16], own_seed: np.random.SeedSequence) -> NDArray[np.int16]:
        walk = _walk(problem, form, start)
        return _run(problem, walk, schedule, kept, np.random.default_rng(own_seed))

    starts = random_states(placements, runs, random)
    threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(run, starts, seeds))
    best = np.array([energies_of(states, placements, form).min() for states in found])
    lowest = _distinct(enumeration, form, np.concatenate(found), size)
    return Search(lowest, runs, int((best < best.min() + TIE).sum()))


def all_tie(placements: list[Placement], form: QuadraticForm) -> bool:
    """Return whether the ions that change charges have no choice, so that all arrangements have one energy."""
    changing = [
        placement
        for placement, change in zip(placements, form.change, strict=True)
        if placement.count and change[list(placement.sites)].any()
    ]
    return arrangements(changing) == 1


class _Problem(NamedTuple):
    kinds: NDArray[np.int64]
    """Placement of each ion."""
    sites: NDArray[np.int64]
    """Sites of each placement, padded; shape (placements, most sites)."""
    n_sites: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    """Whether a placement may use a site; shape (placements, sites)."""
    change: NDArray[np.float64]
    """As `QuadraticForm.change`."""
    matrix: NDArray[np.float64]
    names: NDArray[np.int64]
    """Random number of each placement on each site; an arrangement's name is their exclusive or."""


class _Walk(NamedTuple):
    """Where a run stands."""

    state: NDArray[np.int16]
    ion_at: NDArray[np.int64]
    """Ion on each site, -1 for none."""
    potential: NDArray[np.float64]
    """Mq at each site."""
    energy: NDArray[np.float64]
    """Energy relative to the start's, an array of one."""
    name: NDArray[np.int64]
    """The arrangement's name, an array of one."""
    move: NDArray[np.int64]
    """Moves tried, an array of one."""


class _Notes(NamedTuple):
    """Arrangements met, one a row."""

    states: NDArray[np.int16]
    energies: NDArray[np.float64]
    names: NDArray[np.int64]


class _Schedule(NamedTuple):
    moves: int
    hottest: float
    coldest: float


def _problem(placements: list[Placement], form: QuadraticForm) -> _Problem:
    shape = form.change.shape
    padded = np.zeros((len(placements), max(len(placement.sites) for placement in placements)), dtype=np.int64)
    allowed = np.zeros(shape, dtype=np.bool_)
    for row, placement in enumerate(placements):
        padded[row, : len(placement.sites)] = placement.sites
        allowed[row, list(placement.sites)] = True
    return _Problem(
        kinds=kinds_of(placements),
        sites=padded,
        n_sites=np.array([len(placement.sites) for placement in placements]),
        allowed=allowed,
        change=form.change,
        matrix=form.matrix,
        names=np.random.default_rng(0).integers(0, 2**63 - 1, shape),
    )


def _walk(problem: _Problem, form: QuadraticForm, start: NDArray[np.int16]) -> _Walk:
    change, ion_at = np.zeros(len(form.matrix)), np.full(len(form.matrix), -1)
    change[start] = form.change[problem.kinds, start]
    ion_at[start] = np.arange(len(start))
    name = np.bitwise_xor.reduce(problem.names[problem.kinds, start], keepdims=True)
    potential = form.potential + form.matrix @ change
    return _Walk(start.copy(), ion_at, potential, np.zeros(1), name, np.zeros(1, dtype=np.int64))


def _run(
    problem: _Problem, walk: _Walk, schedule: _Schedule, size: int, random: np.random.Generator
) -> NDArray[np.int16]:
    """Anneal and return the best different arrangements met, best first, at most `size`; shape (arrangements, ions)."""
    rows = size + _ROOM
    notes = _Notes(np.empty((rows, len(walk.state)), dtype=np.int16), np.empty(rows), np.empty(rows, dtype=np.int64))
    notes.states[0], notes.energies[0], notes.names[0] = walk.state, walk.energy[0], walk.name[0]
    noted, limit = 1, np.inf
    while walk.move[0] < schedule.moves:
        noted = _anneal(problem, walk, schedule, (notes, noted, limit), random)
        noted = _keep_best(notes, noted, size)
        if noted == size:
            limit = notes.energies[size - 1] - 0.5 * TIE
    return notes.states[:noted]


def _keep_best(notes: _Notes, noted: int, size: int) -> int:
    """Move the best different arrangements to the front, best first, and return their number, at most `size`."""
    _, rows = np.unique(notes.names[:noted], return_index=True)
    rows = rows[np.argsort(notes.energies[rows], kind="stable")][:size]
    for column in notes:
        column[: len(rows)] = column[rows]
    return len(rows)


@numba.njit(cache=True, nogil=True)
def _anneal(
    problem: _Problem,
    walk: _Walk,
    schedule: _Schedule,
    noting: tuple[_Notes, int, float],
    random: np.random.Generator,
) -> int:
    """Go on until the notes are full or the moves are done; note what is below the limit; return the number noted."""
    kinds, sites, n_sites, allowed, change, matrix, names = problem
    state, ion_at, potential, energy, name, progress = walk
    notes, noted, limit = noting
    n_ions, temperature = len(kinds), 0.0
    for move in range(progress[0], schedule.moves):
        if move == progress[0] or move % _MOVES_PER_TEMPERATURE == 0:
            cooling = schedule.coldest / schedule.hottest
            temperature = schedule.hottest * cooling ** (move / schedule.moves)
        ion = int(random.random() * n_ions)
        kind, here = kinds[ion], state[ion]
        there = sites[kind, int(random.random() * n_sites[kind])]
        other = ion_at[there]
        at_here, at_there = -change[kind, here], change[kind, there]  # changes of what is there
        if other >= 0:
            other_kind = kinds[other]
            if other_kind == kind or not allowed[other_kind, here]:  # which keeps it from its own site, too
                continue
            at_here += change[other_kind, here]
            at_there -= change[other_kind, there]
        cost = 2.0 * (at_here * potential[here] + at_there * potential[there])
        cost += at_here * at_here * matrix[here, here] + at_there * at_there * matrix[there, there]
        cost += 2.0 * at_here * at_there * matrix[here, there]
        if cost > 0.0 and random.random() >= np.exp(-cost / temperature):
            continue
        energy[0] += cost
        name[0] ^= names[kind, here] ^ names[kind, there]
        state[ion], ion_at[there], ion_at[here] = there, ion, other
        if other >= 0:
            name[0] ^= names[kinds[other], here] ^ names[kinds[other], there]
            state[other] = here
        if at_here != 0.0 or at_there != 0.0:
            for site in range(len(potential)):
                potential[site] += at_here * matrix[here, site] + at_there * matrix[there, site]
        if energy[0] < limit:
            notes.states[noted], notes.energies[noted], notes.names[noted] = state, energy[0], name[0]
            noted += 1
            if noted == len(notes.names):
                progress[0] = move + 1
                return noted
    progress[0] = schedule.moves
    return noted


def _distinct(enumeration: Enumeration, form: QuadraticForm, states: NDArray[np.int16], size: int) -> Orbits:
    """Return the best orbits among arrangements, each once, the best first, at most `size`."""
    placements, group = enumeration.placements, np.asarray(enumeration.group, dtype=np.int16)
    firsts = np.cumsum([0] + [placement.count for placement in placements])
    # placements in the order in which the enumeration compares them
    column = np.concatenate(
        [np.arange(firsts[index], firsts[index + 1]) for index in enumeration.order] or [np.arange(0)]
    )
    ordered = [placements[index] for index in enumeration.order]
    ends = np.cumsum([placement.count for placement in ordered])
    same = [slice(int(end) - placement.count, int(end)) for end, placement in zip(ends, ordered, strict=True)]
    energies = energies_of(states, placements, form)
    _, first = np.unique(states, axis=0, return_index=True)
    first = first[np.argsort(np.rint(energies[first] / TIE), kind="stable")]
    states = states[first][:, column]
    kept = np.empty((0, len(column)), dtype=np.int16)
    step = max(_IMAGES // (len(group) * max(len(column), 1)), 1)
    while len(states) and len(kept) < size:
        batch = max(2 * (size - len(kept)), step)
        parts = [canonical(group, part, same) for part in _in_steps(states[:batch], step)]
        kept, states = np.unique(np.concatenate([kept, *parts]), axis=0), states[batch:]
    multiplicities = len(group) // np.concatenate(
        [stabiliser_orders(group, ordered, part) for part in _in_steps(kept, step)]
    )
    kept = kept[:, np.argsort(column)]
    orbits = Orbits(kept, multiplicities.astype(np.int64), energies_of(kept, placements, form), len(group))
    return best_first(orbits)[:size]


def _in_steps(states: NDArray[np.int16], step: int) -> list[NDArray[np.int16]]:
    return [states[start : start + step] for start in range(0, len(states), step)]
