"""Every tag of every INCAR and KPOINTS file against the text of the sources: a sentence is a comment here, and each of
its statements an assertion. What the text leaves open is held by the whole files at the end."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atomate2.vasp.jobs.core import RelaxMaker, StaticMaker
from atomate2.vasp.jobs.md import MDMaker
from atomate2.vasp.jobs.neb import NebFromImagesMaker
from atomate2.vasp.sets.base import VaspInputGenerator
from monty.json import MontyDecoder
from pymatgen.core import SETTINGS, Structure
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar, Potcar

from lzc_flows.crystal.doping import Combination, Substitution
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.ordering import order
from lzc_flows.documents.aimd_protocol import AimdProtocol, named_protocol
from lzc_flows.documents.dft import LZC, LZC_AIMD, LZRC, DftProtocol, VaspSettings
from lzc_flows.documents.protocols import NebProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.engines.vasp_inputs import (
    MdPart,
    electronic_inputs,
    grouped,
    md_inputs,
    neb_inputs,
    relax_inputs,
    static_inputs,
    superposition_inputs,
)
from lzc_flows.engines.vasp_potcars import unknown_potcars_allowed
from lzc_flows.errors import InputError
from lzc_flows.rehearsal.contradictions import check
from lzc_flows.rehearsal.inputs import image_folders, read_inputs
from lzc_flows.rehearsal.potcars import write_library

TI_F = Combination(
    supercell=(2, 2, 1),
    cation=Substitution(ion="Ti3+", labels=("1a", "2d"), count=1),
    anion=Substitution(ion="F-", labels=("6i",), count=3),
)


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stand-ins for POTCARs are what pymatgen finds."""
    folder = write_library(tmp_path_factory.mktemp("library"))
    with pytest.MonkeyPatch.context() as patch, unknown_potcars_allowed():
        patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def pristine() -> Structure:
    """Li6Zr3Cl18."""
    return grouped(ideal_host().structure)[0]


@pytest.fixture(scope="module")
def doped() -> Structure:
    """Li25Zr11Ti1Cl69F3, 109 atoms: section 1.10's cell."""
    ordering = order(ideal_host(), TI_F, OrderProtocol(tiers=("electrostatics", "symmetry"), shortlist=1))
    return grouped(ordering.ranked[0].structure)[0]


@pytest.fixture(scope="module", params=["pristine", "doped"])
def crystal(request: pytest.FixtureRequest) -> Structure:
    return request.getfixturevalue(request.param)


def part_of(protocol: AimdProtocol, number: int) -> MdPart:
    segment = protocol.segments[number]
    return MdPart(
        segment.ensemble,
        segment.start_k,
        segment.end_k,
        segment.steps,
        segment.time_step_fs,
        protocol.frame_interval_fs,
    )


HEATING = part_of(named_protocol("lzc-long", 600), 0)
HOLDING = part_of(named_protocol("lzc-long", 600), 1)
RELAX = partial(relax_inputs, LZC, RelaxProtocol())
NEB = partial(neb_inputs, LZC, NebProtocol(), 5)


# ---- section 1.7 ----


def test_section_1_7(crystal: Structure) -> None:
    inputs = RELAX(crystal)
    incar, kpoints = inputs.incar, inputs.kpoints
    with unknown_potcars_allowed():
        potcar = inputs.potcar
    # "executed utilizing the Vienna Ab initio Simulation Package (VASP), with the projector augmented-wave (PAW)
    # approach implemented"
    assert {single.potential_type for single in potcar} == {"PAW"}
    # "The exchange-correlation energy, EXC, was estimated using the Perdew-Burke-Ernzerhof (PBE) generalized gradient
    # approximation."
    assert incar["GGA"].upper() == "PE"
    assert {single.functional for single in potcar} == {"PBE"}
    assert not {tag for tag in incar if tag.startswith(("LDAU", "METAGGA", "LHF", "IVDW"))}
    # "For all geometric optimizations and energy computations, a plane-wave cutoff energy of 500 eV was employed."
    assert incar["ENCUT"] == 500
    assert static_inputs(LZC, crystal).incar["ENCUT"] == 500
    # "A 2×2×2 k-point mesh was utilized for the calculations."
    assert kpoints.kpts == [(2, 2, 2)]
    assert static_inputs(LZC, crystal).kpoints.kpts == [(2, 2, 2)]
    # "Convergence criteria for energy and force were set at 10⁻5 eV
    assert incar["EDIFF"] == 1e-5
    # and 0.02 eV Å⁻1, respectively."
    assert incar["EDIFFG"] == -0.02  # VASP: negative is a force


# ---- section 1.8 ----


def test_section_1_8(crystal: Structure) -> None:
    heating, holding = md_inputs(LZC_AIMD, HEATING, crystal), md_inputs(LZC_AIMD, HOLDING, crystal)
    for inputs in (heating, holding):
        # "performed on this structure using a reduced cutoff energy of 400 eV
        assert inputs.incar["ENCUT"] == 400
        # and a minimal Γ-centered 1×1×1 k-points mesh"
        assert inputs.kpoints.kpts == [(1, 1, 1)]
        assert inputs.kpoints.style == Kpoints.supported_modes.Gamma
        # "with a time step of 2 fs throughout the AIMD"
        assert (inputs.incar["IBRION"], inputs.incar["POTIM"]) == (0, 2)
        # "Temperature regulation was achieved with the Nose-Hoover thermostat, and velocity integration was conducted
        # using the velocity-Verlet algorithm."
        assert (inputs.incar["MDALGO"], inputs.incar["SMASS"]) == (2, 0)
        # "The NVT ensemble was employed to characterize the equilibrium state."
        assert inputs.incar["ISIF"] == 2
    # "The simulations were initiated at 100 K
    assert heating.incar["TEBEG"] == 100
    # and were gradually heated to the target temperatures (spanning from 600 to 1100 K)
    assert heating.incar["TEEND"] == 600
    hottest = md_inputs(LZC_AIMD, part_of(named_protocol("lzc-long", 1100), 0), crystal)
    assert hottest.incar["TEEND"] == 1100
    # throughout 2 ps,
    assert heating.incar["NSW"] * heating.incar["POTIM"] == 2000
    # followed by an equilibration phase of 260 ps"
    assert holding.incar["NSW"] * holding.incar["POTIM"] == 260_000
    assert (holding.incar["TEBEG"], holding.incar["TEEND"]) == (600, 600)


def test_section_1_8_shorter_runs(crystal: Structure) -> None:
    protocol = named_protocol("lzc-short")
    heating, holding = (md_inputs(LZC_AIMD, part_of(protocol, number), crystal).incar for number in (0, 1))
    # "The system was heated from 100 K to 1100 K over 2 ps,
    assert (heating["TEBEG"], heating["TEEND"], heating["NSW"] * heating["POTIM"]) == (100, 1100, 2000)
    # followed by a 20-ps period at a constant temperature of 1100 K."
    assert (holding["TEBEG"], holding["TEEND"], holding["NSW"] * holding["POTIM"]) == (1100, 1100, 20_000)
    # "ensuring that all other simulation parameters matched those of the extended simulations"
    changing = {"TEBEG", "TEEND", "NSW"}
    extended = md_inputs(LZC_AIMD, HOLDING, crystal).incar
    assert {tag: holding[tag] for tag in {*holding} - changing} == {
        tag: extended[tag] for tag in {*extended} - changing
    }


# ---- section 1.9 ----


def test_section_1_9(crystal: Structure) -> None:
    incar = NEB(crystal).incar
    # "determined using the climbing-image nudged elastic band (CINEB) method"
    assert (incar["LCLIMB"], incar["ICHAIN"], incar["IMAGES"]) == (True, 0, 5)
    assert incar["SPRING"] == -NebProtocol().spring_ev_per_angstrom2  # VASP: negative is nudged
    # VTST: its own optimizer moves the images, VASP's is off
    assert (incar["IOPT"], incar["IBRION"], incar["POTIM"]) == (1, 3, 0)
    assert incar["EDIFFG"] == -NebProtocol().fmax_climbing_ev_per_angstrom
    # the electrons as in section 1.7, "for all geometric optimizations and energy computations"
    assert (incar["ENCUT"], incar["EDIFF"]) == (500, 1e-5)


def test_section_1_9_background(pristine: Structure) -> None:
    # "In the CINEB calculations, the presence of excess electrons was counterbalanced by incorporating background
    # charges": a vacancy of Li+ leaves the cell charged, and VASP has a uniform background to what NELECT says
    vacancy = pristine.copy()
    vacancy.remove_sites([0])
    assert NEB(vacancy).incar["NELECT"] == 5 * 3 + 3 * 12 + 18 * 7 - (-1)
    interstitial = pristine.copy()
    interstitial.insert(0, "Li+", [0, 0, 0.5])
    assert NEB(interstitial).incar["NELECT"] == 7 * 3 + 3 * 12 + 18 * 7 - 1
    # a neutral cell needs none
    assert "NELECT" not in NEB(pristine).incar


# ---- sections 1.11 and 1.12 ----


def test_section_1_11(crystal: Structure) -> None:
    incar = electronic_inputs(LZC, crystal).incar
    # "we examined the structural configurations at the extreme points of the migration trajectories": as they are
    assert (incar["NSW"], incar["IBRION"]) == (0, -1)
    # "Calculations of charge density,
    assert incar["LCHARG"] is True
    # charge density difference (CDD), to the superposed densities of atoms, on the same grid
    atoms = superposition_inputs(LZC, crystal)
    assert (atoms.incar["ICHARG"], atoms.incar["NELM"], atoms.incar["LCHARG"]) == (12, 0, True)
    assert all(atoms.incar[tag] == incar[tag] for tag in ("ENCUT", "PREC"))
    assert atoms.calculate_ng() == electronic_inputs(LZC, crystal).calculate_ng()
    # and electron localization function (ELF) were performed"
    assert incar["LELF"] is True


def test_section_1_12(crystal: Structure) -> None:
    incar = electronic_inputs(LZC, crystal).incar
    # "Density of states (DOS) calculations
    assert incar["NEDOS"] == 3001
    # offer a critical understanding of the interactions between specific atoms": by ion and orbital
    assert incar["LORBIT"] == 11
    # "We conducted these calculations using the structures obtained at the extreme points of these pathways."
    assert (incar["NSW"], incar["IBRION"]) == (0, -1)


# ---- the second source, "DFT Calculations" ----


def test_dft_of_the_second_source(pristine: Structure) -> None:
    inputs = relax_inputs(LZRC, RelaxProtocol(fmax_ev_per_angstrom=0.05), pristine)
    with unknown_potcars_allowed():
        potcar = inputs.potcar
    # "using the plane-wave VASP code, where the electron-ion interaction is represented by the projector augmented wave
    # (PAW) potential"
    assert {single.potential_type for single in potcar} == {"PAW"}
    # "The exchange-correlation functional utilized to train NN potential was the GGA-PBE,
    assert inputs.incar["GGA"].upper() == "PE"
    # and the kinetic energy cutoff was 450 eV."
    assert inputs.incar["ENCUT"] == 450
    # "The first Brillouin zone k-point sampling adopted the Monkhorst-Pack scheme
    assert inputs.kpoints.style == Kpoints.supported_modes.Monkhorst
    # with an automated mesh determined by 25 times the reciprocal lattice vectors."
    a, c = pristine.lattice.a, pristine.lattice.c
    in_plane, along_c = int(25 / (a * np.sqrt(3) / 2) + 0.5), int(25 / c + 0.5)
    assert inputs.kpoints.kpts == [(in_plane, in_plane, along_c)] == [(3, 3, 4)]
    # "The energy and force criteria for convergence of the electron density and structure optimization were set at
    # 5×10−6 eV and 0.05 eV/Å, respectively."
    assert inputs.incar["EDIFF"] == 5e-6
    assert inputs.incar["EDIFFG"] == -0.05


def test_a_long_cell_has_one_division(pristine: Structure) -> None:
    long = pristine.copy()
    long.make_supercell([1, 1, 10])
    assert static_inputs(LZRC, long).kpoints.kpts == [(3, 3, 1)]


# ---- whole files: no tag comes out that was not chosen ----

COMMON = {
    "ALGO": "Fast",
    "EDIFF": 1e-5,
    "ENCUT": 500.0,
    "GGA": "Pe",  # pymatgen capitalises words; VASP reads either
    "ISMEAR": 0,
    "ISYM": 0,
    "LASPH": True,
    "LCHARG": False,
    "LMAXMIX": 4,
    "LREAL": False,
    "LWAVE": False,
    "NELM": 100,
    "PREC": "Accurate",
    "SIGMA": 0.05,
}
STATIC = {"IBRION": -1, "ISIF": 2, "NSW": 0, "LORBIT": 11}
MD = {"IBRION": 0, "LREAL": "Auto", "NBLOCK": 10, "NELMIN": 4, "POTIM": 2.0, "PREC": "Normal", "ENCUT": 400.0}
HOLD = {"NSW": 130_000, "TEBEG": 600.0, "TEEND": 600.0}
WHOLE: dict[str, tuple[Any, dict[str, Any]]] = {
    "relax": (RELAX, {"IBRION": 2, "ISIF": 3, "NSW": 600, "EDIFFG": -0.02, "LORBIT": 11}),
    "static": (partial(static_inputs, LZC), STATIC),
    "heat": (
        partial(md_inputs, LZC_AIMD, HEATING),
        {**MD, "MDALGO": 2, "SMASS": 0.0, "ISIF": 2, "NSW": 1000, "TEBEG": 100.0, "TEEND": 600.0},
    ),
    "hold": (partial(md_inputs, LZC_AIMD, HOLDING), {**MD, **HOLD, "MDALGO": 2, "SMASS": 0.0, "ISIF": 2}),
    "neb": (
        NEB,
        {
            "IMAGES": 5,
            "SPRING": -1.0,
            "LCLIMB": True,
            "ICHAIN": 0,
            "IOPT": 1,
            "IBRION": 3,
            "POTIM": 0.0,
            "ISIF": 2,
            "NSW": 200,
            "EDIFFG": -0.01,
        },
    ),
    "electronic": (
        partial(electronic_inputs, LZC),
        {**STATIC, "LCHARG": True, "LELF": True, "NEDOS": 3001},
    ),
}
MESHES = {"heat": (1, 1, 1), "hold": (1, 1, 1)}


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_of_the_undoped_host(pristine: Structure, kind: str) -> None:
    make, tags = WHOLE[kind]
    inputs = make(pristine)
    assert dict(inputs.incar) == {**COMMON, "ISPIN": 1, **tags}
    mesh = " ".join(str(number) for number in MESHES.get(kind, (2, 2, 2)))
    assert str(inputs.kpoints).splitlines() == ["Mesh of the protocol", "0", "Gamma", mesh]


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_files_of_a_doped_cell(doped: Structure, kind: str) -> None:
    """Ti3+ has one unpaired electron, and is the only one."""
    make, tags = WHOLE[kind]
    moments = [1.0 if site.specie.symbol == "Ti" else 0.0 for site in doped]
    assert dict(make(doped).incar) == {**COMMON, "ISPIN": 2, "MAGMOM": moments, **tags}


def test_whole_file_of_the_superposition(crystal: Structure) -> None:
    incar = dict(superposition_inputs(LZC, crystal).incar)
    spins = {tag: static_inputs(LZC, crystal).incar[tag] for tag in ("ISPIN", "MAGMOM") if tag in incar}
    expected = {**COMMON, **STATIC, **spins, "ICHARG": 12, "NELM": 0, "LCHARG": True}
    del expected["LORBIT"]
    assert incar == expected


def test_whole_files_of_the_other_ensembles(pristine: Structure) -> None:
    nve = md_inputs(LZC_AIMD, MdPart("nve", 300, 300, 50, 1, 10), pristine)
    own = {"MDALGO": 1, "ANDERSEN_PROB": 0.0, "ISIF": 2}
    run = {"NSW": 50, "POTIM": 1.0, "TEBEG": 300.0, "TEEND": 300.0}
    assert dict(nve.incar) == {**COMMON, **MD, "ISPIN": 1, **own, **run}
    npt = md_inputs(LZC_AIMD, MdPart("npt", 300, 300, 50, 1, 10, 50, 1000, 0.2), pristine)
    own = {
        "MDALGO": 3,
        "ISIF": 3,
        "LANGEVIN_GAMMA": [20.0, 20.0, 20.0],
        "LANGEVIN_GAMMA_L": 1.0,
        "PMASS": 10.0,
        "PSTRESS": 2.0,
    }
    assert dict(npt.incar) == {**COMMON, **MD, "ISPIN": 1, **own, **run}


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (RelaxProtocol(optimizer="FIRE"), {"IBRION": 2, "ISIF": 3}),
        (RelaxProtocol(optimizer="LBFGS", relax_cell=False), {"IBRION": 1, "ISIF": 2}),
        (RelaxProtocol(optimizer="BFGS", max_steps=7), {"IBRION": 1, "NSW": 7}),
    ],
)
def test_relaxations_follow_their_protocol(
    pristine: Structure, protocol: RelaxProtocol, expected: dict[str, int]
) -> None:
    incar = relax_inputs(LZC, protocol, pristine).incar
    assert {tag: incar[tag] for tag in expected} == expected


def test_springs_that_pymatgen_would_round_are_refused(pristine: Structure) -> None:
    assert neb_inputs(LZC, NebProtocol(spring_ev_per_angstrom2=5), 3, pristine).incar["SPRING"] == -5
    with pytest.raises(InputError, match=r"^spring_ev_per_angstrom2: a whole number is allowed .* \(given: 0.5\)$"):
        neb_inputs(LZC, NebProtocol(spring_ev_per_angstrom2=0.5), 3, pristine)


# ---- electrons ----


def with_spin(spin: str, **potcars: str) -> DftProtocol:
    return LZC.model_copy(update={"spin": spin, "vasp": VaspSettings(potcars=potcars)})


def test_closed_shells_may_be_polarised(pristine: Structure) -> None:
    incar = static_inputs(with_spin("polarised"), pristine).incar
    assert (incar["ISPIN"], incar["MAGMOM"]) == (2, [1.0] * 27)  # VASP's own default, for nothing says more


def test_an_odd_number_of_electrons_is_polarised_or_refused(pristine: Structure) -> None:
    """A Li atom more, as a neutral one: no ion is known to have its electron."""
    odd = pristine.copy()
    odd.remove_oxidation_states()
    odd.insert(0, "Li", [0, 0, 0.5])
    assert static_inputs(with_spin("auto"), odd).incar["ISPIN"] == 2
    with pytest.raises(
        InputError, match=r"^dft.spin: none wants an even number of electrons, and Li7 Zr3 Cl18 has 183"
    ):
        static_inputs(with_spin("none"), odd)


def test_spins_may_be_left_out_where_electrons_pair(pristine: Structure) -> None:
    """Two Ti3+ have an even number of electrons; that they are a triplet is then not asked."""
    twice = pristine.copy()
    titanium = [number for number, site in enumerate(twice) if site.specie.symbol == "Zr"][:2]
    for number in titanium:
        twice.replace(number, "Ti3+")
    for z in (0.5, 0.25):
        twice.insert(0, "Li+", [0, 0, z])
    twice, _ = grouped(twice)
    assert static_inputs(with_spin("none"), twice).incar["ISPIN"] == 1
    assert sum(static_inputs(with_spin("auto"), twice).incar["MAGMOM"]) == 2


def on_first_zirconium(crystal: Structure, ion: str) -> Structure:
    changed = crystal.copy()
    changed.replace(next(number for number, site in enumerate(changed) if site.specie.symbol == "Zr"), ion)
    return grouped(changed)[0]


def test_electrons_in_the_core_have_no_moment(pristine: Structure) -> None:
    """Gd_3 holds its seven 4f electrons in the core; nothing is left to polarise."""
    crystal = on_first_zirconium(pristine, "Gd3+")
    incar = static_inputs(LZC, crystal).incar
    assert (incar["ISPIN"], incar["LMAXMIX"]) == (1, 6)
    assert incar["NELECT"] == 6 * 3 + 2 * 12 + 9 + 18 * 7 - (-1)


def test_a_frozen_shell_fits_one_oxidation_state(pristine: Structure) -> None:
    crystal = on_first_zirconium(pristine, "Yb2+")
    with pytest.raises(InputError, match=r"^POTCAR Yb_3: .* are those of Yb3\+, and the crystal has Yb2\+; name"):
        static_inputs(LZC, crystal)
    assert static_inputs(with_spin("auto", Yb="Yb_2"), crystal).potcar_symbols == ["Li_sv", "Yb_2", "Zr_sv", "Cl"]


# ---- files ----


def test_files_hold_each_element_once_and_in_order(doped: Structure, tmp_path: Path) -> None:
    with unknown_potcars_allowed():
        RELAX(doped).write_input(tmp_path)
        potcar = Potcar.from_file(str(tmp_path / "POTCAR"))
    poscar = Poscar.from_file(tmp_path / "POSCAR", check_for_potcar=False)
    assert dict(zip(poscar.site_symbols, poscar.natoms, strict=True)) == {"Li": 25, "Zr": 11, "Ti": 1, "F": 3, "Cl": 69}
    assert potcar.symbols == ["Li_sv", "Zr_sv", "Ti_pv", "F", "Cl"]
    assert Incar.from_file(tmp_path / "INCAR") == RELAX(doped).incar
    assert "MAGMOM = 36*0.0 1*1.0 72*0.0" in (tmp_path / "INCAR").read_text()
    assert Kpoints.from_file(tmp_path / "KPOINTS").kpts == [(2, 2, 2)]


@pytest.mark.parametrize("kind", WHOLE)
def test_the_stand_in_refuses_none_of_them(crystal: Structure, kind: str, tmp_path: Path) -> None:
    """It refuses tags that VASP does not know, that contradict each other, and a POTCAR of other elements."""
    WHOLE[kind][0](crystal).write_input(tmp_path)
    for folder in image_folders(tmp_path, 5) if kind == "neb" else []:
        folder.mkdir()
        Poscar(crystal).write_file(folder / "POSCAR")
    warned = check(read_inputs(tmp_path))
    # 400 eV is the source's, and below the default of Li_sv
    assert [bool(text) for text in warned] == ([True] if kind in MESHES else [])


def test_grouped_sites_find_back() -> None:
    host = ideal_host().structure
    mixed = Structure.from_sites([host[number] for number in np.random.default_rng(0).permutation(len(host))])
    mixed.add_site_property("velocities", np.random.default_rng(1).normal(size=(len(mixed), 3)).tolist())
    sorted_, order_ = grouped(mixed)
    assert len(Poscar(sorted_).site_symbols) == 3
    first = list(dict.fromkeys(site.specie.symbol for site in mixed))
    assert Poscar(sorted_).site_symbols == first
    back = np.empty((len(mixed), 3))
    back[list(order_)] = sorted_.frac_coords
    assert np.array_equal(back, mixed.frac_coords)
    back[list(order_)] = sorted_.site_properties["velocities"]
    assert np.array_equal(back, mixed.site_properties["velocities"])
    assert [mixed[number] for number in order_] == list(sorted_)
    # sites of an element keep their order, and what is in order stays
    assert grouped(sorted_)[1] == tuple(range(len(mixed)))


def test_velocities_go_on(pristine: Structure) -> None:
    moving = pristine.copy()
    velocities = np.random.default_rng(0).normal(scale=1e-3, size=(27, 3))
    moving.add_site_property("velocities", velocities.tolist())
    written = Poscar.from_str(str(md_inputs(LZC_AIMD, HOLDING, moving).poscar))
    assert written.velocities == pytest.approx(velocities, abs=1e-8)


@pytest.mark.parametrize(
    ("make", "maker"),
    [
        (RELAX, RelaxMaker),
        (partial(static_inputs, LZC), StaticMaker),
        (partial(md_inputs, LZC_AIMD, HOLDING), MDMaker),
        (NEB, NebFromImagesMaker),
    ],
)
def test_makers_of_atomate2_take_them_through_the_database(doped: Structure, make: Any, maker: Any) -> None:
    inputs = make(doped)
    stored = MontyDecoder().process_decoded(maker(input_set_generator=inputs).as_dict())
    generator: VaspInputGenerator = stored.input_set_generator
    with warnings.catch_warnings(), unknown_potcars_allowed():
        again = generator.get_input_set(doped)
    assert again["INCAR"] == inputs.incar
    assert str(again["KPOINTS"]) == str(inputs.kpoints)


# ---- a user's own tags ----


def with_incar(**tags: Any) -> DftProtocol:
    return LZC.model_copy(update={"vasp": VaspSettings(incar=tags)})


def test_tags_that_are_open_are_taken(pristine: Structure) -> None:
    incar = static_inputs(with_incar(NCORE=4, KPAR=2, ALGO="Normal", NELM=60), pristine).incar
    assert dict(incar) == {**COMMON, **STATIC, "ISPIN": 1, "NCORE": 4, "KPAR": 2, "ALGO": "Normal", "NELM": 60}


def test_tags_that_a_calculation_cannot_have_are_left_out(pristine: Structure) -> None:
    own = with_incar(KPAR=2, NELM=60)
    assert "KPAR" not in electronic_inputs(own, pristine).incar
    assert electronic_inputs(own, pristine).incar["NELM"] == 60
    assert superposition_inputs(own, pristine).incar["NELM"] == 0


@pytest.mark.parametrize(
    ("tags", "line"),
    [
        ({"ENCUT": 520}, "dft.vasp.incar: ENCUT is set already; it follows from dft.cutoff_ev"),
        ({"EDIFF": 1e-6}, "dft.vasp.incar: EDIFF is set already; it follows from dft.scf_ev"),
        ({"KSPACING": 0.2}, "dft.vasp.incar: KSPACING is set already; it follows from dft.kpoints"),
        ({"ISPIN": 2}, "dft.vasp.incar: ISPIN is set already; it follows from dft.spin"),
        ({"NCOR": 4}, "dft.vasp.incar: VASP has no tag NCOR; did you mean NCORE?"),
        ({"ncore": 4}, "dft.vasp.incar: VASP has no tag ncore; did you mean NCORE?"),
        ({"QQQQQQ": 4}, "dft.vasp.incar: VASP has no tag QQQQQQ"),
        ({"NCORE": "four"}, "dft.vasp.incar: NCORE: 'four' is not a value of it"),
        ({"NCORE": 4.5}, "dft.vasp.incar: NCORE: 4.5 is not a value of it"),
        ({"ALGO": "Fats"}, "dft.vasp.incar: ALGO: 'Fats' is not a value of it"),
    ],
)
def test_tags_that_contradict_are_refused(pristine: Structure, tags: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as refused:
        static_inputs(with_incar(**tags), pristine)
    assert str(refused.value) == line


@pytest.mark.parametrize("kind", [*WHOLE, "superposition"])
def test_every_tag_of_the_protocol_is_guarded(pristine: Structure, kind: str) -> None:
    """Tags that a protocol's number makes cannot be a user's as well; those that are our choice can."""
    make = partial(superposition_inputs, LZC) if kind == "superposition" else WHOLE[kind][0]
    ours = {"ALGO", "LASPH", "LMAXMIX", "LREAL", "LWAVE", "NELM", "NELMIN", "PREC", "ISYM", "LORBIT"}
    for tag, value in make(pristine).incar.items():
        if tag in ours:
            assert static_inputs(with_incar(**{tag: value}), pristine).incar[tag] == value
        else:
            with pytest.raises(InputError, match=rf"^dft.vasp.incar: {tag} is set already; it follows from "):
                static_inputs(with_incar(**{tag: value}), pristine)
