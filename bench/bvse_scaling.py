"""How seconds and memory of BVSE grow with the nodes of the grid and with the atoms of the cell.

Run ``python bench/bvse_scaling.py`` (two minutes, 1 GB): Li2ZrCl6 with every ion displaced, so that no symmetry helps;
one cell on ever finer grids, and ever larger cells at one grid step. Each case runs in its own process; times are the
least of three runs of the compiled code, memory is the peak above what the process held before. Prints both tables and
the exponents of growth, and draws ``docs/images/bvse-scaling.png``. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from scipy.optimize import curve_fit

from bvse_worker import memory, perturbed, run_worker
from lzc_flows.crystal.host import ideal_host
from lzc_flows.report.figure import INK, SOFT_INK, figure_style, write_png
from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import energy_field
from lzc_flows.transport.percolation import percolation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "bvse-scaling.png"
RUNS = 3
STEPS_ANGSTROM = (0.4, 0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.05, 0.04)
SUPERCELLS = (
    (1, 1, 1),
    (1, 1, 2),
    (1, 1, 3),
    (2, 2, 1),
    (3, 2, 1),
    (2, 2, 2),
    (3, 2, 2),
    (2, 2, 4),
)
SUPERCELL_STEP_ANGSTROM = 0.15
ATOM_TICKS = (27, 54, 108, 216, 432)

QUANTITIES = {
    "field": ("field_s", "#0072B2", "o"),
    "percolation": ("percolation_s", "#D55E00", "s"),
    "peak memory": ("added_mb", "#009E73", "D"),
}
"""Key in a row, colour and mark of each line."""


@dataclass(frozen=True)
class Case:
    """A crystal and a grid."""

    repeats: tuple[int, int, int]
    resolution_angstrom: float


def work(folder: Path) -> None:
    case = Case(**json.loads((folder / "request.json").read_text()))
    structure = perturbed(ideal_host().supercell(case.repeats).structure)
    warm = energy_field(structure, resolution_angstrom=1.0)
    percolation(basins(warm.energies_ev, warm.lattice_angstrom).graph)
    base = memory()
    field_s, percolation_s = [], []
    for _ in range(RUNS):
        start = time.perf_counter()
        field = energy_field(structure, resolution_angstrom=case.resolution_angstrom)
        middle = time.perf_counter()
        percolation(basins(field.energies_ev, field.lattice_angstrom).graph)
        field_s.append(middle - start)
        percolation_s.append(time.perf_counter() - middle)
    row = {
        "step_angstrom": case.resolution_angstrom,
        "atoms": len(structure),
        "nodes": field.energies_ev.size,
        "field_s": min(field_s),
        "percolation_s": min(percolation_s),
        "added_mb": memory().peak_mb - base.now_mb,
    }
    (folder / "result.json").write_text(json.dumps(row))


def measure(cases: Sequence[Case], scratch: Path) -> list[dict[str, Any]]:
    """Return a row for each case."""

    def run(name: str, case: Case) -> dict[str, Any]:
        return run_worker(__file__, asdict(case), scratch / name, scratch / "numba")

    run("compilation", cases[0])
    return [run(str(number), case) for number, case in enumerate(cases)]


@dataclass(frozen=True)
class Growth:
    """A fit of ``y = fixed + rate xᵖ``: what even a tiny grid costs, and what grows."""

    fixed: float
    rate: float
    power: float
    power_error: float

    def at(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fitted values."""
        return self.fixed + self.rate * x**self.power


def growth(rows: list[dict[str, Any]], x: str, y: str) -> Growth:
    """Return the fit of the least relative squares, with the standard error of the power."""
    xs, ys = (np.array([row[key] for row in rows], dtype=float) for key in (x, y))

    def logarithm(scaled: NDArray[np.float64], log_fixed: float, log_rate: float, power: float) -> NDArray[np.float64]:
        return np.logaddexp(log_fixed, log_rate + power * np.log(scaled))

    start = (np.log(ys.min() / 3), np.log(ys.max()), 1.0)
    best, covariance = curve_fit(logarithm, xs / xs.max(), np.log(ys), start, maxfev=10_000)
    fixed, rate, power = np.exp(best[0]), np.exp(best[1]) / xs.max() ** best[2], best[2]
    return Growth(float(fixed), float(rate), float(power), float(np.sqrt(covariance[2, 2])))


def print_table(title: str, x: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}")
    print(f"{'step / Å':>10}{'atoms':>8}{'nodes':>10}{'field / s':>12}{'percolation / s':>18}{'peak memory / MB':>18}")
    for row in rows:
        print(f"{row['step_angstrom']:10}{row['atoms']:8}{row['nodes']:10}", end="")
        print(f"{row['field_s']:12.4f}{row['percolation_s']:18.4f}{row['added_mb']:18.1f}")
    print(f"fixed + rate · {x}^p (wanted: p = 1)")
    for name, (key, _, _) in QUANTITIES.items():
        fit = growth(rows, x, key)
        print(f"  {name:12} fixed {fit.fixed:7.3g}, p = {fit.power:.2f} ± {fit.power_error:.2f}")


def draw_panel(axes: Axes, rows: list[dict[str, Any]], x: str, names: Sequence[str]) -> None:
    """Draw the measured points of some quantities over `x`, their fits, and a line of slope 1."""
    values = np.array([row[x] for row in rows], dtype=float)
    lowest = np.inf
    for name in names:
        key, color, mark = QUANTITIES[name]
        fit = growth(rows, x, key)
        y = np.array([row[key] for row in rows])
        lowest = min(lowest, y[-1])
        label = f"{name}, p = {fit.power:.2f} ± {fit.power_error:.2f}"
        smooth = np.geomspace(values[0], values[-1], 100)
        axes.loglog(smooth, fit.at(smooth), "-", color=color, linewidth=1.2, zorder=1)
        axes.loglog(values, y, mark, color=color, markersize=5.5, mec="white", mew=0.6, label=label, zorder=2)
    guide = np.array([1 / 16, 1])
    axes.loglog(guide * values[-1], 0.5 * lowest * guide, ":", color=SOFT_INK, linewidth=1.2, label="slope 1")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="lower right", handletextpad=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT_INK)
    axes.tick_params(which="both", colors=SOFT_INK, labelsize=9)
    axes.yaxis.set_major_formatter("{x:g}")


def power_of_ten(value: float, _position: int) -> str:
    """Return the label of a tick; matplotlib's own needs its mathematics, which the style turns off."""
    return "10" + str(round(np.log10(value))).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def draw(by_nodes: list[dict[str, Any]], by_atoms: list[dict[str, Any]]) -> Figure:
    """Return the picture: seconds above, memory below; grid points on the left, atoms on the right."""
    with figure_style():
        figure = Figure(figsize=(7.6, 5.6), layout="constrained")
        panels = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=(3, 2))
        for column, (rows, x) in enumerate(((by_nodes, "nodes"), (by_atoms, "atoms"))):
            draw_panel(panels[0, column], rows, x, ("field", "percolation"))
            draw_panel(panels[1, column], rows, x, ("peak memory",))
        # room for the legends
        panels[0, 0].set_ylim(bottom=1e-3)
        panels[1, 0].set_ylim(bottom=0.3)
        panels[0, 0].set_title(f"{by_nodes[0]['atoms']} atoms, finer grids", fontsize=10, color=INK)
        panels[0, 1].set_title(f"grid step {SUPERCELL_STEP_ANGSTROM} Å, larger cells", fontsize=10, color=INK)
        panels[0, 0].set_ylabel("Time (s)", color=INK)
        panels[1, 0].set_ylabel("Peak memory added (MB)", color=INK)
        panels[1, 0].set_xlabel("Grid points", color=INK)
        panels[1, 1].set_xlabel("Atoms in the cell", color=INK)
        panels[1, 0].xaxis.set_major_formatter(power_of_ten)
        panels[1, 1].set_xticks(ATOM_TICKS, labels=[str(number) for number in ATOM_TICKS])
        panels[1, 1].xaxis.set_minor_locator(NullLocator())
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=IMAGE, help="where the picture goes (default docs/images)")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker)
        return
    with TemporaryDirectory() as folder:
        finer = [Case((1, 1, 1), step) for step in STEPS_ANGSTROM]
        larger = [Case(repeats, SUPERCELL_STEP_ANGSTROM) for repeats in SUPERCELLS]
        rows = measure([*finer, *larger], Path(folder))
    by_nodes, by_atoms = rows[: len(finer)], rows[len(finer) :]
    print_table(f"{by_nodes[0]['atoms']} atoms without symmetry, cutoff 10 Å", "nodes", by_nodes)
    print_table(f"grid step {SUPERCELL_STEP_ANGSTROM} Å, no symmetry, cutoff 10 Å", "atoms", by_atoms)
    write_png(draw(by_nodes, by_atoms), arguments.image, dpi=200)
    print(f"\n{arguments.image}")


if __name__ == "__main__":
    main()
