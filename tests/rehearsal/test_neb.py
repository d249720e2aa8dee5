"""Elastic bands: the barrier of our own search, and what VASP's readers make of the images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emmet.core.neb import NebIntermediateImagesDoc, NebTaskDoc
from numpy.typing import NDArray
from pymatgen.analysis.transition_state import NEBAnalysis
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp.inputs import Poscar
from pymatgen.io.vasp.outputs import Oszicar, Outcar, Vasprun

from lzc_flows.band.search import PathSearch, Potential, SearchState, new_leg
from lzc_flows.band.settle import SettleLimits, settle
from lzc_flows.band.start import bent_start
from lzc_flows.documents.protocols import NebProtocol
from lzc_flows.rehearsal.calculate import calculate
from lzc_flows.rehearsal.contradictions import check
from lzc_flows.rehearsal.forces import force_field
from lzc_flows.rehearsal.inputs import read_inputs
from lzc_flows.rehearsal.messages import Refusal

IMAGES = 3


@dataclass
class Hop:
    """A vacancy's hop in 7 atoms of LiCl: its path before the band relaxes, and the barrier of our own search, eV."""

    like: Structure
    path: NDArray[np.float64]
    end_ev: float
    barrier_ev: float

    def image(self, number: int) -> Structure:
        return Structure(self.like.lattice, self.like.species, self.path[number], coords_are_cartesian=True)


class Nobody:
    def step(self, state: SearchState) -> None:
        pass


@pytest.fixture(scope="module")
def hop() -> Hop:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.97), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    start, end = salt.copy(), salt.copy()
    way = salt[0].frac_coords - salt[1].frac_coords
    end.replace(1, "Li", coords=salt[1].frac_coords + way - np.round(way))
    start.remove_sites([0])
    end.remove_sites([0])
    potential = Potential(force_field(tuple(site.specie.symbol for site in start)), start.lattice.matrix)
    first, last = (
        settle(each.cart_coords, potential.cell, potential.force_field, SettleLimits(1e-3, 200))
        for each in (start, end)
    )
    path = bent_start(np.array([first.positions, last.positions]), IMAGES, potential).path
    leg = new_leg(path, (first.energy_ev, last.energy_ev), potential)
    (band,) = PathSearch(SearchState([leg]), potential, NebProtocol(fmax_climbing_ev_per_angstrom=1e-3)).run(
        200, Nobody()
    )
    return Hop(start, path, first.energy_ev, band.profile.energies_ev.max() - first.energy_ev)


@pytest.fixture
def folder(hop: Hop, tags: dict[str, Any], written: Callable[..., Path], tmp_path: Path, no_faults: None) -> Path:
    """Inputs of a climbing band."""
    root = written(tmp_path / "neb", {**tags["neb"], "IMAGES": IMAGES}, hop.like)
    (root / "POSCAR").unlink()
    for number in range(IMAGES + 2):
        (root / f"{number:02d}").mkdir()
        Poscar(hop.image(number)).write_file(root / f"{number:02d}" / "POSCAR")
    return root


def changed(folder: Path, **tags: object) -> None:
    """Change tags of INCAR; None takes one away."""
    lines = [line for line in (folder / "INCAR").read_text().splitlines() if line.split("=")[0].strip() not in tags]
    lines += [f"{tag} = {value}" for tag, value in tags.items() if value is not None]
    (folder / "INCAR").write_text("\n".join(lines) + "\n")


def energies(folder: Path) -> list[float]:
    files = [folder / f"{number:02d}" / "vasprun.xml" for number in range(1, IMAGES + 1)]
    return [float(Vasprun(file, parse_potcar_file=False).final_energy) for file in files]


def test_the_barrier_is_that_of_our_own_search(folder: Path, hop: Hop) -> None:
    assert calculate(folder) == 0
    assert max(energies(folder)) - hop.end_ev == pytest.approx(hop.barrier_ev, abs=2e-3)
    for number in range(1, IMAGES + 1):
        image = folder / f"{number:02d}"
        assert "reached required accuracy" in (image / "OUTCAR").read_text()
        assert len(Oszicar(image / "OSZICAR").ionic_steps) == len(Oszicar(folder / "01" / "OSZICAR").ionic_steps)
    assert not (folder / "OUTCAR").exists()
    assert not (folder / "00" / "OUTCAR").exists()


def test_the_climbing_image_says_so(folder: Path) -> None:
    assert calculate(folder) == 0
    climbs = ["NEB: the climbing image" in (folder / f"0{n}" / "OUTCAR").read_text() for n in (1, 2, 3)]
    assert climbs == [False, True, False]
    outcar = Outcar(folder / "02" / "OUTCAR")
    outcar.read_neb()
    assert outcar.data["energy"] == pytest.approx(energies(folder)[1])
    assert abs(outcar.data["tangent_force"]) < 0.01


def test_emmet_makes_documents_of_it(
    folder: Path, hop: Hop, rehearsed: Callable[..., Path], tags: dict[str, Any]
) -> None:
    assert calculate(folder) == 0
    ends = [rehearsed(tags["static"], hop.image(number), f"end{number}") for number in (0, IMAGES + 1)]
    images = NebIntermediateImagesDoc.from_directory(folder)
    assert (images.state.value, images.neb_method.value) == ("successful", "climbing_image")
    assert images.energies == energies(folder)
    task = NebTaskDoc.from_directories(ends, folder)
    assert task.forward_barrier == pytest.approx(hop.barrier_ev, abs=2e-3)
    assert task.num_images == IMAGES + 2
    # the ends are those of their own calculations
    for number, end in enumerate(ends):
        target = folder / f"{number * (IMAGES + 1):02d}"
        shutil.copy(end / "OUTCAR", target)
    assert NEBAnalysis.from_dir(folder).get_extrema()[1][0][1] == pytest.approx(1e3 * hop.barrier_ev, abs=2)


def test_plain_vasp_does_not_climb(folder: Path, hop: Hop) -> None:
    changed(folder, LCLIMB=None, ICHAIN=None, IOPT=None, IBRION=1, POTIM=0.5)
    assert calculate(folder) == 0
    assert "the climbing image" not in (folder / "02" / "OUTCAR").read_text()
    assert "tangential force" in (folder / "02" / "OUTCAR").read_text()
    # by symmetry the middle image is at the saddle even so
    assert max(energies(folder)) - hop.end_ev == pytest.approx(hop.barrier_ev, abs=0.01)
    assert NebIntermediateImagesDoc.from_directory(folder).neb_method.value == "standard"


def test_goes_on_from_contcar(folder: Path, hop: Hop) -> None:
    (folder / "STOPCAR").write_text("LSTOP = .TRUE.")
    assert calculate(folder) == 0
    assert len(Oszicar(folder / "02" / "OSZICAR").ionic_steps) == 1
    assert Outcar(folder / "03" / "OUTCAR").is_stopped
    before = energies(folder)
    for number in (1, 2, 3):
        shutil.copy(folder / f"0{number}" / "CONTCAR", folder / f"0{number}" / "POSCAR")
    assert calculate(folder) == 0
    assert max(energies(folder)) < max(before)
    assert max(energies(folder)) - hop.end_ev == pytest.approx(hop.barrier_ev, abs=2e-3)


@pytest.mark.parametrize(
    ("tag", "changes"),
    [
        ("IMAGES", {"IMAGES": 4}),
        ("IMAGES", {"IMAGES": 2}),
        ("IBRION", {"IBRION": 0, "POTIM": 1, "IOPT": None}),
        ("LCLIMB", {"IBRION": 2, "POTIM": 0.5, "IOPT": None}),
        ("POTIM", {"IOPT": None}),
        ("IOPT", {"POTIM": 0.5}),
        ("SPRING", {"SPRING": 5}),
        ("ISIF", {"ISIF": 3}),
        ("LNEBCELL", {"LNEBCELL": ".TRUE."}),
        ("ICHAIN", {"ICHAIN": 2}),
    ],
)
def test_refused(tag: str, changes: dict[str, object], folder: Path) -> None:
    changed(folder, **changes)
    with pytest.raises(Refusal) as refused:
        check(read_inputs(folder))
    assert f"Error reading item '{tag}'" in str(refused.value)


def test_an_image_of_other_atoms(folder: Path, hop: Hop) -> None:
    other = hop.image(2)
    other.apply_strain(0.01)
    Poscar(other).write_file(folder / "02" / "POSCAR")
    with pytest.raises(Refusal, match="02/POSCAR"):
        calculate(folder)
