"""BVSE barriers and seconds, ours against bvlain's, for ideal Li2ZrCl6 (trigonal, P-3m1) in one process.

Run ``python bench/bvse_vs_bvlain.py --resolution 0.2``. Both use the ½ in the Morse term, ASE radii and the
same cutoff; barriers are from the cell's minimum, as bvlain reports them. Ours is timed after compilation.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass

from pymatgen.core import Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.transport.bvse import energy_field
from lzc_flows.transport.percolation import percolation_thresholds


@dataclass(frozen=True)
class Run:
    """Barriers in one, two and three dimensions (eV) and the seconds of the two steps."""

    barriers: list[float]
    field_seconds: float
    percolation_seconds: float

    @property
    def seconds(self) -> float:
        """Seconds of both steps."""
        return self.field_seconds + self.percolation_seconds


def ours(structure: Structure, resolution: float, cutoff: float) -> Run:
    start = time.perf_counter()
    field = energy_field(structure, resolution_angstrom=resolution, cutoff_angstrom=cutoff)
    middle = time.perf_counter()
    thresholds = percolation_thresholds(field.energies_ev).thresholds
    barriers = [threshold.barrier_from_cell_minimum_ev for threshold in thresholds]
    return Run(barriers, middle - start, time.perf_counter() - middle)


def bvlains(structure: Structure, resolution: float, cutoff: float) -> Run:
    from bvlain import Lain

    lain = Lain(verbose=False)
    lain.read_structure(structure, oxi_check=False)
    start = time.perf_counter()
    # more neighbours than any sphere holds: its default of 100 cuts spheres of 10 Å short
    lain.bvse_distribution(mobile_ion="Li1+", r_cut=cutoff, resolution=resolution, k=200)
    middle = time.perf_counter()
    barriers = [float(barrier) for barrier in lain.percolation_barriers().values()]
    return Run(barriers, middle - start, time.perf_counter() - middle)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=float, default=0.2, help="grid step in Å (default 0.2)")
    parser.add_argument("--cutoff", type=float, default=10.0, help="interaction cutoff in Å (default 10)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # bvlain's imports warn at length

    host = ideal_host().structure
    first = ours(host, 1.0, arguments.cutoff)
    here = ours(host, arguments.resolution, arguments.cutoff)
    supercell = ours(host * (2, 2, 1), arguments.resolution, arguments.cutoff)
    there = bvlains(host, arguments.resolution, arguments.cutoff)

    print(f"Li2ZrCl6, {arguments.resolution} Å grid, {arguments.cutoff} Å cutoff")
    print(f"{'':16}{'ours':>10}{'bvlain':>10}{'difference':>12}")
    for dimensions, (mine, theirs) in enumerate(zip(here.barriers, there.barriers, strict=True), start=1):
        print(f"{f'{dimensions}D / eV':16}{mine:10.4f}{theirs:10.4f}{mine - theirs:12.4f}")
    print(f"{'':16}{'ours':>10}{'bvlain':>10}{'ratio':>12}{'ours, 2x2x1':>14}")
    for step in ("field_seconds", "percolation_seconds", "seconds"):
        mine, theirs, larger = (getattr(run, step) for run in (here, there, supercell))
        name = step.removesuffix("_seconds").replace("seconds", "total")
        print(f"{f'{name} / s':16}{mine:10.3f}{theirs:10.3f}{theirs / mine:12.0f}{larger:14.3f}")
    print(f"first call of ours (compiles, or loads numba's cache): {first.seconds:.2f} s")


if __name__ == "__main__":
    main()
