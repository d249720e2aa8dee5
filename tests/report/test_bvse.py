from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from ase.io.cube import read_cube
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.report.bvse import surface_levels_ev, write_landscape
from lzc_flows.transport.bvse import EnergyField, energy_field
from lzc_flows.transport.landscape import Landscape, analyse

PICTURES = {"paths.csv", "profile.png", "isosurface.png", "landscape.html"}
TABLES = {"field.cube", "field.grd", "sites.csv", "hops.csv"}


@pytest.fixture(scope="module")
def host() -> Landscape:
    return analyse(energy_field(ideal_host().structure, resolution_angstrom=0.5))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as lines:
        return list(csv.DictReader(lines))


def test_the_tables_are_the_landscape(host: Landscape, tmp_path: Path) -> None:
    written = write_landscape(tmp_path / "out", host, ideal_host().structure)
    assert {path.name for path in written} == PICTURES | TABLES
    assert {path.name for path in (tmp_path / "out").iterdir()} == PICTURES | TABLES
    sites = rows(tmp_path / "out" / "sites.csv")
    energies = host.sites.graph.energies_ev - host.percolation.minimum_ev
    assert [float(row["energy_above_minimum_ev"]) for row in sites] == pytest.approx(energies, abs=1e-6)
    hops = rows(tmp_path / "out" / "hops.csv")
    assert len(hops) == len(host.sites.graph.levels_ev)
    for row, level in zip(hops, host.sites.graph.levels_ev, strict=True):
        lower, upper = int(row["from_site"]), int(row["to_site"])
        assert energies[lower] <= energies[upper]
        assert float(row["barrier_ev"]) == pytest.approx(level - host.sites.graph.energies_ev[lower], abs=1e-6)
    with (tmp_path / "out" / "field.cube").open() as file:
        cube = read_cube(file)
    np.testing.assert_allclose(cube["data"], host.field.energies_ev, rtol=1e-5, atol=1e-5)


def test_hops_come_back_to_where_they_lead(host: Landscape, tmp_path: Path) -> None:
    # by symmetry of P-3m1 the shortest hops from 6g to 6h stand in equal pairs, up and down along c
    write_landscape(tmp_path, host, ideal_host().structure)
    sites = [np.array([float(row[x]) for x in "xyz"]) for row in rows(tmp_path / "sites.csv")]
    lattice = host.field.lattice_angstrom
    lowest = []
    for row in rows(tmp_path / "hops.csv"):
        cell = np.array([int(row[f"cell_{axis}"]) for axis in "abc"])
        step = (sites[int(row["to_site"])] + cell - sites[int(row["from_site"])]) @ lattice
        if int(row["to_site"]) < 12 and np.linalg.norm(step) < 3.2 and abs(step[2]) > 2:
            lowest.append(step[2])
    assert len(lowest) == 12
    assert np.abs(lowest) == pytest.approx([lattice[2, 2] / 2] * 12, abs=0.3)
    assert sum(np.sign(lowest)) == 0


def test_without_a_way_through_there_are_no_pictures(tmp_path: Path) -> None:
    energies = np.full((6, 6, 6), np.inf)
    energies[0, 0, 0] = -1.0
    structure = Structure(Lattice.cubic(3), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    blocked = analyse(EnergyField(energies, structure.lattice.matrix.copy(), "Li+", "softbv", 8.0))
    assert {path.name for path in write_landscape(tmp_path, blocked, structure)} == TABLES


def test_levels_of_surfaces() -> None:
    heights = {"1d": 0.4, "2d": 0.405, "3d": 0.9}
    axes = [
        height * (1 - np.cos(2 * np.pi * np.arange(8) / 8)) / 2
        for height in (heights["1d"], heights["2d"], heights["3d"])
    ]
    energies = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]
    found = analyse(EnergyField(energies, np.eye(3) * 4, "Li+", "softbv", 8.0))
    # half of the first; the second looks like the first
    assert surface_levels_ev(found) == pytest.approx([0.2, 0.4, 0.9], rel=1e-12)
    closed = np.where(np.arange(8) == 4, np.inf, energies)
    assert surface_levels_ev(analyse(EnergyField(closed, np.eye(3) * 4, "Li+", "softbv", 8.0))) == pytest.approx(
        [0.2, 0.4], rel=1e-12
    )
