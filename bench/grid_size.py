"""How long it takes to generate a grid of more than 5,000 combinations.

python bench/grid_size.py
"""

from __future__ import annotations

import time

from lzc_flows.crystal.doping import GridSpec, expand_grid
from lzc_flows.crystal.host import ideal_host

GRID = GridSpec(
    supercell=(2, 2, 1),
    cations=("Mg2+", "Zn2+", "Al3+", "Sc3+", "Ti3+", "V3+", "Fe3+", "In3+", "Y3+", "P5+"),
    cation_sites=("1a", "2d", "1a+2d"),
    cation_counts=(1, 2, 3, 4),
    anions=("F-", "O2-", "S2-", "Br-"),
    anion_counts=tuple(range(1, 12)),
)


def main() -> None:
    host = ideal_host()
    start = time.perf_counter()
    cells = expand_grid(host, GRID)
    print(f"{len(cells)} combinations in {time.perf_counter() - start:.2f} s (at most 5 s wanted for 5,000)")


if __name__ == "__main__":
    main()
