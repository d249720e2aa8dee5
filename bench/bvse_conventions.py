"""Search for a BVSE convention with the published pair: 0.69 eV for LZC, 0.45 eV for LZC-10TF.

Run ``python bench/bvse_conventions.py`` (some minutes). Computes every combination of the choices below on the
partially occupied crystals of Supplementary Tables 3 and 2; writes all barriers to docs/data/bvse_conventions.csv and
the tables of docs/bvse-conventions.md. bench/bvse_rietveld.py asks what sets these barriers.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from pymatgen.core import Composition, Structure
from scipy.optimize import brentq

from lzc_flows.crystal.host import WYCKOFF, rietveld_host
from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import energy_field
from lzc_flows.transport.bvse_parameters import RadiiSet
from lzc_flows.transport.conventions import CONVENTIONS, BVSEConvention, Charges, MobileFramework, pair_energy
from lzc_flows.transport.percolation import percolation

PUBLISHED_EV = {"lzc": 0.69, "lzc-10tf": 0.45}
TOLERANCE_EV = 0.05
CUTOFF_ANGSTROM = 10.0

ZERO_PRESSURE = "zero pressure"
"""The screening factor of `zero_pressure_factor`."""
PREFACTORS = (0.5, 1.0)
CHARGES: tuple[Charges, ...] = ("quantum", "neutral", "formal")
RADII: tuple[RadiiSet, ...] = ("softbv", "ase")
FACTORS: tuple[float | str, ...] = (0.55, 0.65, 0.70, 0.74, 0.78, 0.85, 1.0, ZERO_PRESSURE)
LITHIUM: tuple[MobileFramework, ...] = ("removed", "average")
OCCUPANCIES = ("average", "majority", "filled")
TARGETS = ("1d", "2d", "3d", "a", "c", "ab")  # b equals a in this space group
DIMENSIONS = ("1d", "2d", "3d")
REFERENCES = ("cell", "component")
DEFENSIBLE_CHARGES: tuple[Charges, ...] = ("quantum", "neutral")
DEFENSIBLE_FACTORS = (0.70, 0.74, 0.78, ZERO_PRESSURE)
DEFENSIBLE_OCCUPANCIES = ("average", "majority")
# what something besides the published pair speaks for, see the page; so it does for every value of the other choices

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "bvse-conventions.md"
DEFAULT = CONVENTIONS["softbv"]
Barriers = dict[str, dict[str, float]]
"""Barriers in eV by reference and target."""


@dataclass(frozen=True)
class Trial:
    """One convention on one treatment of the occupancies, and the barriers (eV) of both crystals.

    ``factor`` is the value or `ZERO_PRESSURE`; ``factors`` and ``barriers`` are those of each crystal.
    """

    occupancy: str
    factor: float | str
    convention: BVSEConvention
    factors: dict[str, float]
    barriers: dict[str, Barriers]

    @property
    def is_defensible(self) -> bool:
        """Whether each choice has a reason other than the published pair."""
        return (
            self.convention.charges in DEFENSIBLE_CHARGES
            and self.factor in DEFENSIBLE_FACTORS
            and self.occupancy in DEFENSIBLE_OCCUPANCIES
        )

    def pair(self, reference: str, target: str) -> tuple[float, float]:
        """Return the barriers of LZC and LZC-10TF in one reading, eV."""
        lzc, doped = (self.barriers[crystal][reference][target] for crystal in PUBLISHED_EV)
        return lzc, doped


# ---------------------------------------------------------------- barriers


def barriers(
    structure: Structure, convention: BVSEConvention, resolution: float, cutoff: float = CUTOFF_ANGSTROM
) -> Barriers:
    """Return the thresholds (eV) from the cell's and from the component's minimum, by target."""
    field = energy_field(structure, resolution_angstrom=resolution, cutoff_angstrom=cutoff, convention=convention)
    thresholds = percolation(basins(field.energies_ev, field.lattice_angstrom).graph).thresholds
    return {
        "cell": {target: thresholds[target].barrier_from_cell_minimum_ev for target in TARGETS},
        "component": {target: thresholds[target].barrier_ev for target in TARGETS},
    }


def zero_pressure_factor(structure: Structure, convention: BVSEConvention) -> float:
    """Return the screening factor at which the whole crystal, with these pair energies, has no static pressure.

    The crystal is scaled at fixed fractional coordinates; occupancies of different sites are independent.
    """
    first, second, _, distances = structure.get_neighbor_list(CUTOFF_ANGSTROM)
    present = sorted(structure.composition, key=str)
    occupancy = {ion: np.array([site.species[ion] for site in structure]) for ion in present}
    step = 1e-4

    def pressure(factor: float) -> float:
        total = 0.0
        for one, other in itertools.combinations_with_replacement(present, 2):
            cation, anion = (one, other) if one.oxi_state > 0 else (other, one)
            energy = pair_energy(cation, anion, replace(convention, screening_factor=factor), structure.composition)
            weight = occupancy[one][first] * occupancy[other][second] * (0.5 if one == other else 1.0)
            met = weight > 0
            change = energy(distances[met] * (1 - step)) - energy(distances[met] * (1 + step))
            total += float(np.sum(weight[met] * change))
        return total

    return float(brentq(pressure, 0.3, 1.5, xtol=1e-4))


# ---------------------------------------------------------------- structures


def with_species(structure: Structure, species: list[Composition]) -> Structure:
    """Return the same sites with other species; sites without any are left out."""
    kept = [index for index, content in enumerate(species) if content]
    return Structure(
        structure.lattice,
        [species[index] for index in kept],
        structure.frac_coords[kept],
        site_properties={WYCKOFF: [structure[index].properties[WYCKOFF] for index in kept]},
    )


def majority(structure: Structure) -> Structure:
    """Every site holds its most occupied ion, or none if that is below one half."""
    most = [max(site.species.items(), key=lambda item: item[1]) for site in structure]
    return with_species(structure, [Composition({ion: 1.0} if share >= 0.5 else {}) for ion, share in most])


def filled(structure: Structure) -> Structure:
    """Every site is full, in the proportions of its ions."""
    return with_species(structure, [site.species / site.species.num_atoms for site in structure])


TREATMENTS = {"average": lambda structure: structure, "majority": majority, "filled": filled}


# ---------------------------------------------------------------- scan


@cache
def treated(occupancy: str, crystal: str) -> Structure:
    """Return a published crystal after one treatment of its occupancies."""
    return TREATMENTS[occupancy](rietveld_host(crystal).structure)


def barriers_of(
    occupancy: str, convention: BVSEConvention, factors: dict[str, float], resolution: float
) -> dict[str, Barriers]:
    """Return the barriers of both crystals, each with its screening factor."""
    return {
        crystal: barriers(treated(occupancy, crystal), replace(convention, screening_factor=factor), resolution)
        for crystal, factor in factors.items()
    }


def trials_of(occupancy: str, prefactor: float, charges: Charges, radii: RadiiSet, resolution: float) -> list[Trial]:
    """Return the trials of some choices with every choice of Li and of the screening factor."""
    plain = BVSEConvention("trial", prefactor, charges, 0.74, radii, "bench")
    balanced = {crystal: zero_pressure_factor(treated(occupancy, crystal), plain) for crystal in PUBLISHED_EV}
    found = []
    for lithium, factor in itertools.product(LITHIUM, FACTORS):
        factors = dict.fromkeys(PUBLISHED_EV, factor) if isinstance(factor, float) else balanced
        convention = replace(plain, mobile_framework=lithium)
        both = barriers_of(occupancy, convention, factors, resolution)
        found.append(Trial(occupancy, factor, convention, factors, both))
    return found


def trials(resolution: float, workers: int) -> list[Trial]:
    """Return every combination of the choices."""
    choices = itertools.product(OCCUPANCIES, PREFACTORS, CHARGES, RADII)
    with ProcessPoolExecutor(workers) as pool:
        futures = [pool.submit(trials_of, *chosen, resolution) for chosen in choices]
        return [trial for future in futures for trial in future.result()]


def least_miss(trial: Trial) -> float:
    """Return the larger of the two differences to the published barriers (eV) of a trial's best reading."""
    return min(
        max(abs(x - y) for x, y in zip(trial.pair(r, target), PUBLISHED_EV.values(), strict=True))
        for r, target in itertools.product(REFERENCES, TARGETS)
    )


@dataclass(frozen=True)
class Tally:
    """How many readings (trial, reference, target) come close to the published pair.

    Attributes
    ----------
    trials, readings
        How many were made.
    lzc, doped, both
        Readings close to the one, the other and both published barriers.
    chance
        Readings expected close to both if the two barriers of a reading had nothing to do with each other.
    mirrored
        Control: readings close to the published pair with the two crystals exchanged.
    any_target
        Trials and references close to both if the target may be chosen anew for each crystal.
    least_miss_ev, largest_fall_ev
        The best reading's larger miss, and the largest fall from LZC to LZC-10TF (published: 0.24), eV.
    """

    trials: int
    readings: int
    lzc: int
    doped: int
    both: int
    chance: float
    mirrored: int
    any_target: int
    least_miss_ev: float
    largest_fall_ev: float


def tally(found: list[Trial]) -> Tally:
    """Count the readings of some trials."""
    # trials × references, targets, crystals
    pairs = np.array([[t.pair(r, target) for target in TARGETS] for t in found for r in REFERENCES])
    published = np.array(list(PUBLISHED_EV.values()))
    close = np.abs(pairs - published) <= TOLERANCE_EV
    mirror = np.abs(pairs - published[::-1]) <= TOLERANCE_EV
    return Tally(
        trials=len(found),
        readings=close[..., 0].size,
        lzc=int(close[..., 0].sum()),
        doped=int(close[..., 1].sum()),
        both=int(close.all(axis=-1).sum()),
        chance=float(close[..., 0].mean() * close[..., 1].mean() * close[..., 0].size),
        mirrored=int(mirror.all(axis=-1).sum()),
        any_target=int(close.any(axis=1).all(axis=-1).sum()),
        least_miss_ev=float(np.abs(pairs - published).max(axis=-1).min()),
        largest_fall_ev=float((pairs[..., 0] - pairs[..., 1]).max()),
    )


# ---------------------------------------------------------------- output


def write_csv(found: list[Trial], path: Path) -> None:
    """Write one line per trial and crystal, barriers in eV."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        numbers = [f"{target}_from_{reference}_ev" for reference in REFERENCES for target in TARGETS]
        choices = ["occupancy", "lithium", "morse_prefactor", "charges", "radii", "factor", "screening_factor"]
        writer.writerow(["crystal", *choices, "defensible", *numbers])
        for trial, crystal in itertools.product(found, PUBLISHED_EV):
            c = trial.convention
            values = [trial.barriers[crystal][reference][target] for reference in REFERENCES for target in TARGETS]
            chosen = [trial.occupancy, c.mobile_framework, c.morse_prefactor, c.charges, c.radii, trial.factor]
            factor = f"{trial.factors[crystal]:.3f}"
            writer.writerow([crystal, *chosen, factor, int(trial.is_defensible), *(f"{v:.3f}" for v in values)])


def markdown(rows: list[list[str]]) -> str:
    """Return a table; the first row is its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def named(trial: Trial) -> list[str]:
    """Return the cells that say which convention a row is about."""
    c = trial.convention
    values = [f"{value:.2f}" for value in dict.fromkeys(trial.factors.values())]
    star = "*" if trial.is_defensible else ""
    factor = "/".join(values) + (" (P = 0)" if trial.factor == ZERO_PRESSURE else "")
    return [star, "½" if c.morse_prefactor == 0.5 else "1", c.charges, c.radii, factor]


def dimensions(by_target: dict[str, float]) -> str:
    """Return the barriers in 1, 2 and 3 dimensions."""
    return " / ".join(f"{by_target[d]:.2f}" for d in DIMENSIONS)


def whole_table(found: list[Trial]) -> str:
    """Return all trials, a table for each treatment of occupancies and Li."""
    head = ["", "p", "Q", "radii", "f", "LZC, cell", "component", "LZC-10TF, cell", "component", "miss"]
    parts = []
    for occupancy, lithium in itertools.product(OCCUPANCIES, LITHIUM):
        rows = [head]
        for trial in found:
            if (trial.occupancy, trial.convention.mobile_framework) == (occupancy, lithium):
                cells = []
                for crystal in PUBLISHED_EV:
                    both = [dimensions(trial.barriers[crystal][reference]) for reference in REFERENCES]
                    cells += [both[0], "same" if both[0] == both[1] else both[1]]
                rows.append([*named(trial), *cells, f"{least_miss(trial):.2f}"])
        parts.append(f"### Occupancies: {occupancy}; Li: {lithium}\n\n{markdown(rows)}")
    return "\n\n".join(parts)


def tally_table(groups: dict[str, list[Trial]]) -> str:
    """Return the tallies of some groups of trials, a column for each."""
    tallies = {name: tally(group) for name, group in groups.items()}
    rows = [["", *tallies]]
    for field, words in {
        "trials": "conventions, each on both crystals",
        "readings": "readings: × 2 minima × 1D, 2D, 3D, a, c, ab (many coincide)",
        "lzc": "readings with LZC within 0.05 eV of 0.69",
        "doped": "readings with LZC-10TF within 0.05 eV of 0.45",
        "both": "**readings with both**",
        "chance": "expected with both, were the two independent",
        "mirrored": "control: both with the crystals exchanged (0.45, 0.69)",
        "any_target": "conventions × minima with both if each crystal may choose its dimension",
        "least_miss_ev": "least miss of a reading, the larger of its two, eV",
        "largest_fall_ev": "largest fall from LZC to LZC-10TF, eV (published: 0.24)",
    }.items():
        values = [getattr(tally, field) for tally in tallies.values()]
        rows.append([words, *(f"{v:.2f}" if isinstance(v, float) else str(v) for v in values)])
    return markdown(rows)


def finer_table(found: list[Trial], number: int, resolution: float) -> str:
    """Return the trials that miss least, and the default, on a finer grid."""
    chosen = sorted(found, key=least_miss)[:number] + [t for t in found if is_default(t)]
    rows = [["occupancies", "Li", "p", "Q", "radii", "f", "LZC", "LZC-10TF", "miss", "largest change from the scan"]]
    for coarse in chosen:
        fine = replace(coarse, barriers=barriers_of(coarse.occupancy, coarse.convention, coarse.factors, resolution))
        change = max(
            abs(fine.barriers[crystal][reference][target] - coarse.barriers[crystal][reference][target])
            for crystal, reference, target in itertools.product(PUBLISHED_EV, REFERENCES, TARGETS)
        )
        cells = [dimensions(fine.barriers[crystal]["cell"]) for crystal in PUBLISHED_EV]
        treatment = [coarse.occupancy, coarse.convention.mobile_framework]
        rows.append([*treatment, *named(coarse)[1:], *cells, f"{least_miss(fine):.3f}", f"{change:.3f}"])
    return markdown(rows)


def is_default(trial: Trial) -> bool:
    """Return whether a trial is the package's default convention on the published occupancies."""
    return (
        trial.occupancy == "average"
        and trial.factor == 0.74
        and replace(trial.convention, name=DEFAULT.name, source=DEFAULT.source) == DEFAULT
    )


def fill(name: str, text: str) -> None:
    """Replace what stands between the two marks of a name in docs/bvse-conventions.md."""
    start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = PAGE.read_text().split(start)
    _, after = rest.split(end)
    PAGE.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=float, default=0.1, help="grid step of the scan in Å (default 0.1)")
    parser.add_argument("--repeats", type=int, default=8, help="conventions to repeat with half the step (default 8)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    arguments = parser.parse_args()

    start = time.perf_counter()
    found = trials(arguments.resolution, arguments.workers)
    seconds = time.perf_counter() - start
    write_csv(found, DOCS / "data" / "bvse_conventions.csv")
    groups = {"all": found, "defensible (*)": [trial for trial in found if trial.is_defensible]}
    texts = {
        "tally": tally_table(groups),
        "finer grid": finer_table(found, arguments.repeats, arguments.resolution / 2),
        "whole table": whole_table(found),
    }
    for name, text in texts.items():
        fill(name, text)
    scan = f"{len(found)} conventions × 2 crystals, {arguments.resolution} Å grid"
    print(f"{scan}: {seconds:.0f} s, {arguments.workers} processes\n")
    print(texts["tally"], texts["finer grid"], sep="\n\n")


if __name__ == "__main__":
    main()
