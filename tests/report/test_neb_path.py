from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser

from lzc_flows.errors import InputError
from lzc_flows.report import neb_path
from lzc_flows.report.neb_path import PathImages, write_image_cifs, write_overlay_cif, write_path_extxyz

CELL = np.array([[6.1, 0.0, 0.0], [-3.05, 5.28, 0.0], [0.3, 0.2, 7.9]])
SPECIES = ("Zr", "Cl", "Cl", "Li", "Li")
IMAGES = 7


def images(forces: bool = True) -> PathImages:
    """The first Li goes from one cell into the next, the others give way a little."""
    rng = np.random.default_rng(3)
    start = np.array([[0, 0, 0], [0.3, 0.3, 0.2], [0.7, 0.6, 0.8], [0.8, 0.2, 0.5], [0.2, 0.75, 0.5]]) @ CELL
    ways = rng.normal(0, 0.05, (5, 3))
    ways[3] = np.array([0.5, 0.1, 0.05]) @ CELL
    path = start + np.linspace(0, 1, IMAGES)[:, None, None] * ways
    energies = -20.0 + np.array([0, 0.15, 0.48, 0.70, 0.48, 0.15, 0])
    return PathImages(SPECIES, CELL, path, energies, (3,), rng.normal(0, 0.3, path.shape) if forces else None)


def knock_on() -> PathImages:
    """The first Li takes the site of the second, to 0.01 Å, which goes on by as far."""
    found = images()
    path = found.positions.copy()
    way = path[0, 4] + [0.01, 0, 0] - path[0, 3]
    for atom in (3, 4):
        path[:, atom] = path[0, atom] + np.linspace(0, 1, IMAGES)[:, None] * way
    return replace(found, positions=path, moved_atoms=(3, 4))


def same_places(one: np.ndarray, other: np.ndarray, tolerance: float = 1e-7) -> None:
    """Fractional coordinates are the same up to whole cells."""
    difference = one - other
    np.testing.assert_allclose(difference - np.rint(difference), 0, atol=tolerance)


def by_label(path: Path, labels: list[str]) -> Structure:
    """Return what pymatgen reads, in the order of the labels; it sorts by element."""
    (crystal,) = CifParser(path).parse_structures(primitive=False)
    assert sorted(site.label for site in crystal) == sorted(labels)
    return Structure.from_sites(sorted(crystal, key=lambda site: labels.index(site.label)))


def fractional(positions: np.ndarray) -> np.ndarray:
    return positions @ np.linalg.inv(CELL)


def test_extxyz_as_ase_reads_it(tmp_path: Path) -> None:
    path = images()
    write_path_extxyz(path, tmp_path / "path.xyz")
    read = ase.io.read(tmp_path / "path.xyz", index=":")
    assert len(read) == IMAGES
    assert path.forces_ev_per_angstrom is not None
    steps = np.linalg.norm(np.diff(path.positions, axis=0).reshape(IMAGES - 1, -1), axis=1)
    for number, atoms in enumerate(read):
        assert tuple(atoms.get_chemical_symbols()) == SPECIES
        assert atoms.pbc.all()
        np.testing.assert_allclose(atoms.cell.array, CELL, rtol=0, atol=1e-12)
        np.testing.assert_allclose(atoms.positions, path.positions[number], rtol=0, atol=1e-8)
        np.testing.assert_allclose(atoms.get_forces(), path.forces_ev_per_angstrom[number], rtol=0, atol=1e-8)
        assert atoms.get_potential_energy() == pytest.approx(path.energies_ev[number], rel=1e-12)
        assert atoms.info["image"] == number
        assert atoms.info["distance_A"] == pytest.approx(steps[:number].sum(), rel=1e-12)


def test_extxyz_without_forces(tmp_path: Path) -> None:
    write_path_extxyz(images(forces=False), tmp_path / "path.xyz")
    for atoms in ase.io.read(tmp_path / "path.xyz", index=":"):
        assert set(atoms.calc.results) == {"energy"}
        assert set(atoms.arrays) == {"numbers", "positions"}


def test_the_overlay_holds_the_framework_once_and_the_ion_in_all_images(tmp_path: Path) -> None:
    path = images()
    write_overlay_cif(path, tmp_path / "trail.cif")
    expected = fractional(np.concatenate([path.positions[0, [0, 1, 2, 4]], path.positions[:, 3]]))
    symbols = ["Zr", "Cl", "Cl", "Li", *["Li"] * IMAGES]
    labels = ["Zr1", "Cl2", "Cl3", "Li5", *(f"Li4_{number}" for number in range(IMAGES))]
    crystal = by_label(tmp_path / "trail.cif", labels)
    assert [site.specie.symbol for site in crystal] == symbols
    same_places(crystal.frac_coords, expected)
    atoms = ase.io.read(tmp_path / "trail.cif")
    assert atoms.get_chemical_symbols() == symbols
    same_places(atoms.get_scaled_positions(wrap=False), expected)
    for lengths in (crystal.lattice.parameters, atoms.cell.cellpar()):
        np.testing.assert_allclose(lengths, Structure(CELL, [], []).lattice.parameters, rtol=1e-7)


def test_ghosts_that_lie_on_each_other_are_one(tmp_path: Path) -> None:
    """A knock-on: the last ghost of the first ion is the first one of the second."""
    path = knock_on()
    write_overlay_cif(path, tmp_path / "trail.cif")
    labels = ["Zr1", "Cl2", "Cl3", *(f"Li4_{n}" for n in range(IMAGES)), *(f"Li5_{n}" for n in range(1, IMAGES))]
    crystal = by_label(tmp_path / "trail.cif", labels)
    distances = crystal.distance_matrix + np.eye(len(crystal))
    assert distances.min() > neb_path.SAME_ANGSTROM
    assert len(ase.io.read(tmp_path / "trail.cif")) == len(crystal)


def test_each_image_as_a_cif(tmp_path: Path) -> None:
    path = images()
    files = write_image_cifs(path, tmp_path / "deep" / "images")
    assert [file.name for file in files] == [f"image_{number:02d}.cif" for number in range(IMAGES)]
    assert sorted((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "images"]
    for file, positions in zip(files, path.positions, strict=True):
        crystal = by_label(file, ["Zr1", "Cl2", "Cl3", "Li4", "Li5"])
        assert tuple(site.specie.symbol for site in crystal) == SPECIES
        same_places(crystal.frac_coords, fractional(positions))
        atoms = ase.io.read(file)
        assert tuple(atoms.get_chemical_symbols()) == SPECIES
        same_places(atoms.get_scaled_positions(wrap=False), fractional(positions))


def test_images_do_not_stand_among_others(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert len(write_image_cifs(images(), tmp_path / "empty")) == IMAGES
    with pytest.raises(InputError, match="empty folder"):
        write_image_cifs(images(), tmp_path / "empty")
    with pytest.raises(InputError, match="empty folder"):
        write_image_cifs(images(), tmp_path / "empty" / "image_00.cif")


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder" / "kept").mkdir(parents=True)
    for write in (write_path_extxyz, write_overlay_cif):
        with pytest.raises(OSError, match="folder"):
            write(images(), tmp_path / "folder")
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder", tmp_path / "folder" / "kept"]


def test_files_are_replaced(tmp_path: Path) -> None:
    for write, name in ((write_path_extxyz, "path.xyz"), (write_overlay_cif, "trail.cif")):
        write(knock_on(), tmp_path / name)
        write(images(), tmp_path / name)
        write(images(), tmp_path / f"new-{name}")
        assert (tmp_path / name).read_bytes() == (tmp_path / f"new-{name}").read_bytes()


def test_paths_that_are_none_are_refused() -> None:
    good = images()
    with pytest.raises(InputError, match=r"positions of the path: shape \(7, 5, 3\), allowed is \(7, 4, 3\)"):
        replace(good, species=SPECIES[:4])
    with pytest.raises(InputError, match="energies of the path: shape"):
        replace(good, energies_ev=good.energies_ev[1:])
    with pytest.raises(InputError, match="cell of the path: shape"):
        replace(good, cell=np.eye(2))
    with pytest.raises(InputError, match="forces of the path: finite"):
        replace(good, forces_ev_per_angstrom=np.full_like(good.positions, np.nan))
    with pytest.raises(InputError, match=r"1 image\(s\)"):
        PathImages(SPECIES, CELL, good.positions[:1], good.energies_ev[:1], (3,))
    with pytest.raises(InputError, match="species 'Qq'"):
        replace(good, species=("Zr", "Cl", "Cl", "Li", "Qq"))
    for moved in ((), (5,), (-1,)):
        with pytest.raises(InputError, match="moved atoms"):
            replace(good, moved_atoms=moved)
