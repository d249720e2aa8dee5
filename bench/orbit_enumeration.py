"""Symmetry-inequivalent arrangements: seconds to count them, to list them with energies, orbits a second, memory.

Run ``python bench/orbit_enumeration.py`` (under a minute); `order_vs_peers.py` measures others.
Every case runs in its own process, so that peak memory is its own; what the process takes without the enumeration is
printed beside it. Listing means the energies of all orbits, the 100 lowest and the histogram of all arrangements, on
one core, the median of five passes; the first pass, which compiles with an empty cache, is printed too. Needs Linux.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TypeVar

from pymatgen.core import Lattice, Structure

from bvse_worker import memory
from lzc_flows.crystal.counting import arrangements, orbit_count
from lzc_flows.crystal.electrostatics import Electrostatics
from lzc_flows.crystal.enumeration import Enumeration
from lzc_flows.crystal.histogram import Tally
from lzc_flows.crystal.host import WYCKOFF, Host, ideal_host
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.crystal.survey import survey

T = TypeVar("T")

RUNS = 5
LOWEST = 100
BIN_EV = 0.01
LISTED_UP_TO = 10_000_000
"""Cases with more orbits are only counted."""


@dataclass(frozen=True)
class Problem:
    """What to place where."""

    sites: SiteLattice
    placements: list[Placement]


def lzc(fluorine: int, repeats: tuple[int, int, int] = (2, 2, 1)) -> Problem:
    sites = SiteLattice(ideal_host(), repeats)
    cation = Placement("Ti3+", sites.with_labels(("1a", "2d")), 1)
    anion = Placement("F-", sites.with_labels(("6i",)), fluorine)
    return Problem(sites, [cation, anion, Placement("Li+", sites.vacant, 1)])


def rutile_crystal() -> Structure:
    return Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.63, 3.07),
        ["Sb5+", "O2-"],
        [(0, 0, 0), (0.305, 0.305, 0)],
        site_properties={WYCKOFF: ["2a", "4f"]},
    )


def rutile(repeats: tuple[int, int, int]) -> Problem:
    """FeSbO4 of Okhotnikov et al., J. Cheminform. 8, 17 (2016): 15,565 orbits in 2×2×3, 63,075,916 in 2×3×3."""
    sites = SiteLattice(Host("rutile", rutile_crystal()), repeats)
    cations = sites.with_labels(("2a",))
    return Problem(sites, [Placement("Fe3+", cations, len(cations) // 2)])


CASES: dict[str, Callable[[], Problem]] = {
    "source, Li25Zr11TiCl69F3": lambda: lzc(3),
    "the same with 4 F": lambda: lzc(4),
    "FeSbO4 2×2×3": lambda: rutile((2, 2, 3)),
    "FeSbO4 2×3×3": lambda: rutile((2, 3, 3)),
    "LZC 3×3×2, 30 F": lambda: lzc(30, (3, 3, 2)),
}


@dataclass(frozen=True)
class Row:
    """Measurements of a case; None where it was only counted."""

    arrangements: int
    orbits: int
    lattice_s: float
    count_s: float
    first_s: float | None = None
    list_s: float | None = None
    start_mb: float | None = None
    peak_mb: float | None = None


def measure(name: str) -> Row:
    start = time.perf_counter()
    problem = CASES[name]()
    group = problem.sites.permutations
    built = time.perf_counter()
    every, inequivalent = arrangements(problem.placements), orbit_count(group, problem.placements)
    counted = time.perf_counter()
    row = Row(every, inequivalent, built - start, counted - built)
    if inequivalent > LISTED_UP_TO:
        return row
    seconds = []
    electrostatics = Electrostatics(problem.sites.ewald_ev, problem.sites.charges)
    before = memory().now_mb
    for _ in range(1 + RUNS):
        start = time.perf_counter()
        found = survey(Enumeration(group, problem.placements, electrostatics), LOWEST, Tally(BIN_EV))
        seconds.append(time.perf_counter() - start)
        assert found.orbits == inequivalent
    first, *others = seconds
    return Row(
        every,
        inequivalent,
        row.lattice_s,
        row.count_s,
        first,
        statistics.median(others),
        before,
        memory().peak_mb,
    )


def in_own_process(function: Callable[..., T], *arguments: object) -> T:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def report(name: str, row: Row) -> None:
    print(f"{name}: {row.arrangements:.6g} arrangements, {row.orbits:.8g} orbits")
    print(f"  symmetry {row.lattice_s:.2f} s, count {row.count_s * 1e3:.1f} ms")
    if row.list_s is None or row.peak_mb is None or row.start_mb is None:
        return
    print(
        f"  list, {LOWEST} lowest and histogram {row.list_s:.3f} s (first {row.first_s:.1f} s), "
        f"{row.orbits / row.list_s:,.0f} orbits/s, peak {row.peak_mb:.0f} MB (before {row.start_mb:.0f} MB)"
    )


def main() -> None:
    with TemporaryDirectory() as cache:
        for number, name in enumerate(CASES):
            os.environ["NUMBA_CACHE_DIR"] = f"{cache}/{number}"
            report(name, in_own_process(measure, name))


if __name__ == "__main__":
    main()
