"""The crystals on which `engine_forces.py` compares engines, built from the ideal host and fixed seeds."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import WYCKOFF, aimd_host, ideal_host
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.engines.relax_worker import Relaxed, RelaxRequest, relax_all

SEED = 20250101
RATTLE_ANGSTROM = 0.05
"""Standard deviation of each Cartesian displacement."""

RATTLED = {
    "host, Rietveld cell": "Li6Zr3Cl18 in the cell of Supplementary Table 3, rattled",
    "host, AIMD cell": "the same fractional coordinates in the source's AIMD cell of section 1.8",
    "Al3+ F-": "Li7AlZr2Cl17F: Al on 1a, an extra Li on the vacant 1b, F on a Cl next to Al; rattled",
    "P5+": "Li5PZr2Cl18: P on the first 2d, the Li farthest from it removed; rattled",
}
"""Names and contents of the rattled crystals; nothing but the rattle has moved around a dopant."""

LARGER = "host, 2 % larger"
"""The first one in a larger cell: energies of the two give a pressure to hold the stress against."""

RELAXED_BY = "relaxed by "
"""Start of the names of the relaxed hosts; the engine's name follows."""


def ideal() -> Structure:
    """Return the ideal host at the Rietveld cell: 27 atoms, elements only."""
    return _bare(ideal_host().structure)


def rattled_structures() -> dict[str, Structure]:
    """Return the crystals of `RATTLED`, the same ones at each call."""
    host = rattled(ideal(), SEED)
    tall = aimd_host().structure.lattice
    aimd = Lattice.hexagonal(tall.a, tall.c / 3)
    crystals = (
        host,
        Structure(aimd, host.species, host.frac_coords),
        rattled(_aluminium_and_fluorine(), SEED + 1),
        rattled(_phosphorus(), SEED + 2),
    )
    return dict(zip(RATTLED, crystals, strict=True))


def larger_host() -> Structure:
    """Return `LARGER`."""
    host = rattled(ideal(), SEED)
    host.scale_lattice(1.02 * host.volume)
    return host


def relaxed_structures() -> dict[str, Structure]:
    """Return the ideal host as each engine relaxes it by the campaign's protocol, cell included."""
    return {RELAXED_BY + name: _bare(relax(name, [ideal()])[0].structure) for name in MLIPS}


def relax(engine: str, structures: list[Structure]) -> list[Relaxed]:
    """Relax as the campaign's worker does: positions and cell."""
    with TemporaryDirectory() as folder:
        RelaxRequest(structures, engine, RelaxProtocol()).write(Path(folder))
        return relax_all(Path(folder)).relaxed


def rattled(structure: Structure, seed: int) -> Structure:
    """Return the crystal with normal displacements of `RATTLE_ANGSTROM` an axis; the cell stays."""
    shifts = np.random.default_rng(seed).normal(0, RATTLE_ANGSTROM, (len(structure), 3))
    positions = structure.cart_coords + shifts
    return Structure(structure.lattice, structure.species, positions, coords_are_cartesian=True)


def _aluminium_and_fluorine() -> Structure:
    host = ideal_host()
    doped = _bare(host.structure)
    metal = host.structure.site_properties[WYCKOFF].index("1a")
    doped[metal] = "Al"
    chlorides = [index for index, site in enumerate(doped) if site.specie.symbol == "Cl"]
    doped[min(chlorides, key=lambda index: (round(doped.get_distance(metal, index), 6), index))] = "F"
    extra = next(site for site in host.vacant if site.properties[WYCKOFF] == "1b")
    doped.append("Li", extra.frac_coords)
    return doped


def _phosphorus() -> Structure:
    doped = ideal()
    metal = ideal_host().structure.site_properties[WYCKOFF].index("2d")
    doped[metal] = "P"
    lithium = [index for index, site in enumerate(doped) if site.specie.symbol == "Li"]
    doped.remove_sites([max(lithium, key=lambda index: (round(doped.get_distance(metal, index), 6), -index))])
    return doped


def _bare(structure: Structure) -> Structure:
    """Return elements and coordinates only: neither engines nor CP2K know charges or labels."""
    species = [site.specie.element if hasattr(site.specie, "element") else site.specie for site in structure]
    return Structure(structure.lattice, species, structure.frac_coords)
