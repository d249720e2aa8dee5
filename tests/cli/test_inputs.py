from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymatgen.core import SETTINGS, Lattice, Structure
from pymatgen.io.cp2k.inputs import Cp2kInput
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar

from lzc_flows.crystal.host import ideal_host
from lzc_flows.database.stores import TASKS, Database
from lzc_flows.engines.vasp_potcars import unknown_potcars_allowed
from lzc_flows.rehearsal.potcars import write_library

Tiny = Callable[[], dict[str, Any]]
VASP_FILES = ["INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand-ins for POTCARs are what pymatgen finds."""
    folder = write_library(tmp_path / "library")
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    with unknown_potcars_allowed():
        yield folder


@pytest.fixture
def host_file(tmp_path: Path) -> Path:
    """Li6Zr3Cl18 as a CIF, without charges."""
    path = tmp_path / "host.cif"
    ideal_host().structure.copy().remove_oxidation_states().to(filename=str(path), fmt="cif")
    return path


@pytest.fixture
def salt_file(tmp_path: Path) -> Path:
    """LiCl, 8 atoms, out of its minimum."""
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.2), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    path = tmp_path / "salt.cif"
    salt.perturb(0.05).to(filename=str(path), fmt="cif")
    return path


def printed(lzc: Callable, *arguments: object) -> dict[str, Any]:
    result = lzc("inputs", *arguments, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def files_of(lzc: Callable, *arguments: object) -> dict[str, str]:
    return printed(lzc, *arguments)["files"]


def test_a_relaxation_by_vasp(lzc: Callable, library: Path, host_file: Path) -> None:
    content = printed(lzc, host_file, "--engine", "vasp", "--stage", "relax")
    assert (content["structure_from"], content["written"]) == (str(host_file), [])
    files = content["files"]
    assert list(files) == VASP_FILES
    incar = Incar.from_str(files["INCAR"])
    assert {tag: incar[tag] for tag in ("ENCUT", "EDIFF", "EDIFFG", "IBRION", "ISIF")} == {
        "ENCUT": 500,
        "EDIFF": 1e-5,
        "EDIFFG": -0.02,
        "IBRION": 2,
        "ISIF": 3,
    }
    assert Kpoints.from_str(files["KPOINTS"]).kpts == [(2, 2, 2)]
    assert Poscar.from_str(files["POSCAR"]).structure.formula == "Li6 Zr3 Cl18"
    assert files["POTCAR.spec"].splitlines() == [
        "Li_sv: TITEL = PAW_PBE Li_sv STAND-IN; ZVAL = 3; ENMAX = 499.034 eV",
        "Zr_sv: TITEL = PAW_PBE Zr_sv STAND-IN; ZVAL = 12; ENMAX = 229.898 eV",
        "Cl: TITEL = PAW_PBE Cl STAND-IN; ZVAL = 7; ENMAX = 262.472 eV",
    ]


@pytest.mark.parametrize("stage", ["order", "relax", "static", "aimd", "cineb", "electronic"])
def test_nothing_of_a_potential_is_told(lzc: Callable, library: Path, host_file: Path, stage: str) -> None:
    result = lzc("inputs", host_file, "--stage", stage)
    assert result.code == 0, result.err
    assert "ZVAL" in result.out
    for part in ("local part", "PSCTR", "0.00000000E+00", "End of Dataset"):
        assert part not in result.out


def test_dynamics_are_one_calculation_after_the_other(lzc: Callable, library: Path, host_file: Path) -> None:
    """The ramp of lzc-short in 2 ps, 20 ps in two parts; only the first has an own POSCAR, with velocities."""
    files = files_of(lzc, host_file, "--stage", "aimd")
    incars = {name: Incar.from_str(text) for name, text in files.items() if name.endswith("INCAR")}
    tags = {name: [incar[tag] for tag in ("TEBEG", "TEEND", "NSW", "ENCUT")] for name, incar in incars.items()}
    assert tags == {
        "part-0000/INCAR": [100, 1100, 1000, 400],
        "part-0001/INCAR": [1100, 1100, 5000, 400],
        "part-0002/INCAR": [1100, 1100, 5001, 400],  # the last one has the state at the end as well
    }
    assert [name for name in files if name.endswith("POSCAR")] == ["part-0000/POSCAR"]
    velocities = Poscar.from_str(files["part-0000/POSCAR"]).velocities
    assert velocities is not None
    assert len(velocities) == 27
    result = lzc("inputs", host_file, "--stage", "aimd")
    assert "--- part-0000/KPOINTS, part-0001/KPOINTS, part-0002/KPOINTS\n" in result.out  # equal ones once
    assert "POSCAR of part-0001 and later: the CONTCAR of the part before" in result.err


def test_the_many_parts_of_a_long_run_are_printed_once(
    lzc: Callable, library: Path, host_file: Path, tiny: Tiny, campaign_file: Callable
) -> None:
    content = tiny()
    content["stages"]["aimd"] = {"engine": "vasp", "protocol": "lzc-long", "temperature_k": 900, "top": 1}
    result = lzc("inputs", host_file, "--stage", "aimd", "--campaign", campaign_file(content))
    assert "--- part-0001/INCAR to part-0025/INCAR, 25 alike\n" in result.out
    assert result.out.count("TEEND = 900") == 3


def test_ends_and_band(lzc: Callable, library: Path, host_file: Path) -> None:
    files = files_of(lzc, host_file, "--stage", "cineb", "--images", 3)
    assert list(files) == [*(f"end/{name}" for name in VASP_FILES), "band/INCAR", "band/KPOINTS", "band/POTCAR.spec"]
    end, band = Incar.from_str(files["end/INCAR"]), Incar.from_str(files["band/INCAR"])
    assert (end["ISIF"], end["EDIFFG"], band["IMAGES"], band["LCLIMB"]) == (2, -0.01, 3, True)
    assert Incar.from_str(files_of(lzc, host_file, "--stage", "cineb")["band/INCAR"])["IMAGES"] == 5


def test_our_own_band_is_single_points(
    lzc: Callable, library: Path, host_file: Path, tiny: Tiny, campaign_file: Callable
) -> None:
    content = tiny()
    engine = {"name": "vasp", "dft": {"vasp": {"climbing": "lzc"}}}
    content["stages"]["cineb"] = {"engine": engine, "top": None}
    files = files_of(lzc, host_file, "--stage", "cineb", "--campaign", campaign_file(content))
    assert list(files) == VASP_FILES
    incar = Incar.from_str(files["INCAR"])
    assert (incar["NSW"], incar["LWAVE"], incar["ISTART"]) == (0, True, 0)


def test_electrons_and_superposed_atoms(lzc: Callable, library: Path, host_file: Path) -> None:
    files = files_of(lzc, host_file, "--stage", "electronic")
    scf, atoms = (Incar.from_str(files[f"{name}/INCAR"]) for name in ("scf", "atoms"))
    assert (scf["LELF"], scf["NEDOS"], atoms["ICHARG"], atoms["NELM"]) == (True, 3001, 12, 0)


def test_a_charged_cell_has_its_electrons_counted(
    lzc: Callable, library: Path, tmp_path: Path, host_file: Path
) -> None:
    """Section 1.9: one Li+ less, and one electron more than the neutral atoms that are left have."""
    vacancy = ideal_host().structure.copy()
    vacancy.remove_sites([next(n for n, site in enumerate(vacancy) if site.specie.symbol == "Li")])
    path = tmp_path / "vacancy.cif"
    vacancy.remove_oxidation_states().to(filename=str(path), fmt="cif")
    charges = [word for charge in ("Li=1", "Zr=4", "Cl=-1") for word in ("--charge", charge)]
    incar = Incar.from_str(files_of(lzc, path, "--stage", "static", *charges)["INCAR"])
    assert incar["NELECT"] == 5 * 3 + 3 * 12 + 18 * 7 + 1
    assert "NELECT" not in Incar.from_str(files_of(lzc, host_file, "--stage", "static")["INCAR"])


def test_cp2k(lzc: Callable, host_file: Path) -> None:
    """No executable and no library is asked for."""
    (name, text), *others = files_of(lzc, host_file, "--engine", "cp2k").items()
    assert (name, others) == ("cp2k.inp", [])
    found = Cp2kInput.from_str(text)
    assert str(found["GLOBAL"]["RUN_TYPE"].values[0]).upper() == "CELL_OPT"
    result = lzc("inputs", host_file, "--engine", "cp2k", "--stage", "aimd")
    assert result.code == 0, result.err
    assert "CP2K waits for geometries" in result.err
    assert "ENERGY_FORCE" in result.out


@pytest.mark.parametrize(("dft", "cutoff"), [("lzc", 500), ("lzc-aimd", 400), ("lzrc", 450)])
def test_other_numbers_by_their_name(lzc: Callable, library: Path, host_file: Path, dft: str, cutoff: float) -> None:
    assert Incar.from_str(files_of(lzc, host_file, "--dft", dft)["INCAR"])["ENCUT"] == cutoff


def test_a_campaigns_numbers(
    lzc: Callable, library: Path, host_file: Path, tiny: Tiny, campaign_file: Callable
) -> None:
    """Those of its stage, whatever its engine; those of its engine where that is the one asked for."""
    content = tiny()
    content["stages"]["relax"]["engine"] = {"name": "vasp", "dft": {"cutoff_ev": 350, "vasp": {"incar": {"NCORE": 4}}}}
    path = campaign_file(content)
    own = Incar.from_str(files_of(lzc, host_file, "--campaign", path)["INCAR"])
    assert (own["ENCUT"], own["NCORE"], own["EDIFFG"], own["NSW"]) == (350, 4, -0.2, 200)
    order = Incar.from_str(
        files_of(lzc, host_file, "--campaign", path, "--engine", "vasp", "--stage", "static")["INCAR"]
    )
    assert (order["ENCUT"], order["NSW"]) == (350, 0)
    content["stages"]["relax"]["engine"] = "nep"
    path = campaign_file(content)
    other = Incar.from_str(files_of(lzc, host_file, "--campaign", path, "--engine", "vasp")["INCAR"])
    assert (other["ENCUT"], other["EDIFFG"]) == (500, -0.2)
    text = files_of(lzc, host_file, "--campaign", path, "--engine", "cp2k")["cp2k.inp"]
    assert "MAX_ITER 200" in text


def test_files_go_to_a_folder(lzc: Callable, library: Path, host_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    result = lzc("inputs", host_file, "--stage", "cineb", "--out", out)
    assert (result.code, result.out) == (0, "")
    content = printed(lzc, host_file, "--stage", "cineb", "--out", out)
    assert content["written"] == [str(out / name) for name in content["files"]]
    for name, text in content["files"].items():
        assert (out / name).read_text() == text
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == sorted(content["files"])


def test_they_are_what_the_job_writes(
    lzc: Callable, library: Path, salt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_lzc: Callable
) -> None:
    """To the last byte: a relaxation and dynamics by the stand-in for VASP."""
    from atomate2 import SETTINGS as ATOMATE2

    from lzc_flows.crystal.charges import with_charges
    from lzc_flows.crystal.host import read_structure
    from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
    from lzc_flows.documents.dft import LZC, LZC_AIMD
    from lzc_flows.documents.engine import engine_spec
    from lzc_flows.documents.protocols import RelaxProtocol
    from lzc_flows.engines.aimd_worker import AimdRequest
    from lzc_flows.recovery.dynamics import run_dynamics
    from lzc_flows.recovery.relaxations import relax_to_convergence

    for name in ("VASP_CMD", "VASP_GAMMA_CMD"):
        monkeypatch.setattr(ATOMATE2, name, f"{sys.executable} -m lzc_flows.rehearsal")
    relax = RelaxProtocol(fmax_ev_per_angstrom=0.5)
    ramp = Segment(ensemble="nvt", temperature=(100.0, 300.0), ps=0.004, time_step_fs=2)
    held = Segment(ensemble="nvt", temperature=300.0, ps=0.004, time_step_fs=2)
    aimd = AimdProtocol(segments=(ramp, held), frame_interval_fs=2, checkpoint_interval_fs=2)
    structure = with_charges(read_structure(salt_file), [], "")
    with set_lzc():
        relax_to_convergence(structure, engine_spec("vasp", LZC), relax, tmp_path / "relax")
        run_dynamics(AimdRequest(structure, engine_spec("vasp", LZC_AIMD), aimd, seed=3), tmp_path / "aimd")
    stages = {
        "relax": {"engine": "vasp", "protocol": relax.model_dump(mode="json")},
        "aimd": {"engine": "vasp", "protocol": aimd.model_dump(mode="json"), "seed": 3, "top": 1},
    }
    grid = {"supercell": [1, 1, 1], "undoped": True}
    campaign = tmp_path / "salt.yaml"
    campaign.write_text(yaml.safe_dump({"name": "salt", "host": "lzc", "grid": grid, "stages": stages}))
    relaxed = files_of(lzc, salt_file, "--campaign", campaign)
    for name in ("INCAR", "KPOINTS"):
        assert relaxed[name] == (tmp_path / "relax" / "vasp" / name).read_text()
    dynamics = files_of(lzc, salt_file, "--campaign", campaign, "--stage", "aimd")
    names = [name for name in dynamics if not name.endswith("POTCAR.spec")]
    assert names == ["part-0000/INCAR", "part-0000/KPOINTS", "part-0000/POSCAR", "part-0001/INCAR", "part-0001/KPOINTS"]
    for name in names:
        assert dynamics[name] == (tmp_path / "aimd" / name).read_text()


@pytest.fixture
def candidate(lzc: Callable, database: Database, tiny: Tiny, campaign_file: Callable) -> str:
    """A submitted campaign, the order stage of its undoped candidate done; the words of that candidate's key."""
    path = campaign_file(tiny())
    assert lzc("submit", path).code == 0
    store(database, "order", ideal_host().structure)
    return "undoped_1x1x1"


def store(database: Database, stage: str, structure: Structure) -> None:
    """Write the document that a stage of the undoped candidate leaves, as far as its summary wants it."""
    plan = database.collection("plan").find_one({"cation": None})
    order = {"decided_by": "symmetry", "exhaustive": True, "margin_ev": None, "shortlist": [{"anions_at_dopant": 0}]}
    relax = {"energy_per_atom_ev": -4.0, "max_force_ev_per_angstrom": 0.01, "volume_change": 0.1}
    output = {"structure": structure.as_dict(), "corrections": [], **{"order": order, "relax": relax}[stage]}
    task = {"uuid": stage, "index": 1, "completed_at": datetime(2026, 1, 1).isoformat(), "output": output}
    database.collection(TASKS).insert_one({**task, "metadata": {"key": plan["stage_keys"][stage], "stage": stage}})


def test_a_candidate_as_its_stages_have_left_it(
    lzc: Callable, library: Path, database: Database, candidate: str
) -> None:
    ordered = ideal_host().structure
    for stage in ("relax", "aimd", "cineb"):
        content = printed(lzc, candidate, "--stage", stage)
        assert content["structure_from"].startswith("undoped_1x1x1_")
        assert content["structure_from"].endswith(", as its stage order left it")
    relaxed = ordered.copy().scale_lattice(1.1 * ordered.volume)
    store(database, "relax", relaxed)
    for stage, volume in (("relax", ordered.volume), ("static", relaxed.volume)):
        content = printed(lzc, candidate, "--stage", stage)
        found = Poscar.from_str(content["files"]["POSCAR"]).structure
        assert found.volume == pytest.approx(volume, rel=1e-6)
    assert content["structure_from"].endswith(", as its stage relax left it")
    # by its name, a campaign gives its numbers
    assert Incar.from_str(files_of(lzc, candidate, "--campaign", "tiny", "--engine", "vasp")["INCAR"])["NSW"] == 200


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["undopt"], "candidate 'undopt': neither a file nor in the database; it holds Ti3-1a-x1_F1-6i-x1_1x1x1_"),
        (["Ti3"], "candidate 'Ti3-1a-x1_F1-6i-x1_1x1x1_"),
        (["undoped", "--charge", "Li=1"], "--charge: allowed for a crystal file only"),
        (["undoped", "--campaign", "tyni"], "campaign 'tyni': not in the database; it holds tiny"),
        (
            ["undoped", "--campaign", "tiny"],
            "engine 'nep': has no input files, its potential needs none; vasp or cp2k has",
        ),
    ],
)
def test_candidates_that_are_refused(
    lzc: Callable, library: Path, candidate: str, arguments: list[str], line: str
) -> None:
    result = lzc("inputs", *arguments)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith(f"lzc: {line}")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--stage", "bvse"], "stage 'bvse': allowed are order, relax, static, aimd, cineb, electronic"),
        (["--engine", "qe"], "engine 'qe': allowed are vasp, cp2k"),
        (["--engine", "nep"], "engine 'nep': has no input files, its potential needs none; vasp or cp2k has"),
        (["--engine", "chgnet", "--stage", "aimd"], "engine 'chgnet': has no input files"),
        (["--engine", "cp2k", "--stage", "electronic"], "engine 'cp2k': the electronic stage is VASP's"),
        (["--dft", "mp"], "dft 'mp': allowed are lzc, lzc-aimd, lzrc"),
        (["--campaign", "none.yaml"], "campaign none.yaml: no such file"),
        (["--charge", "Li=1"], "{file}: --charge names some elements but not Cl"),
        (["--out", "{file}"], "--out {file}: a folder that can be written is allowed"),
    ],
)
def test_bad_input_is_one_line(lzc: Callable, library: Path, host_file: Path, arguments: list[str], line: str) -> None:
    result = lzc("inputs", host_file, *(word.format(file=host_file) for word in arguments))
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith(f"lzc: {line.format(file=host_file)}")


@pytest.mark.parametrize(
    ("stages", "arguments", "line"),
    [
        (
            {"relax": {"engine": {"name": "vasp", "dft": {"vasp": {"incar": {"ENCUT": 600}}}}}},
            [],
            "dft.vasp.incar: ENCUT",
        ),
        (
            {"relax": {"engine": {"name": "vasp", "dft": {"vasp": {"incar": {"ENCUTT": 600}}}}}},
            [],
            "dft.vasp.incar: VASP",
        ),
        ({}, ["--stage", "aimd", "--engine", "vasp"], "campaign 'tiny': no stage 'aimd'; it has order, relax, bvse"),
        ({}, ["--stage", "order", "--engine", "vasp"], "stage 'order': its protocol asks no engine"),
    ],
)
def test_campaigns_that_say_something_else(
    lzc: Callable,
    library: Path,
    host_file: Path,
    tiny: Tiny,
    campaign_file: Callable,
    stages: dict[str, Any],
    arguments: list[str],
    line: str,
) -> None:
    content = tiny()
    content["stages"] |= stages
    result = lzc("inputs", host_file, "--campaign", campaign_file(content), *arguments)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith(f"lzc: {line}")


def test_crystals_that_are_none(lzc: Callable, library: Path, tmp_path: Path) -> None:
    partial = Structure(Lattice.cubic(5.0), [{"Li": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    partial.to(filename=str(tmp_path / "partial.cif"), fmt="cif")
    plutonium = Structure(Lattice.cubic(5.0), ["Pu4+", *["Cl-"] * 4], [[0.1 * n, 0.2 * n, 0.15 * n] for n in range(5)])
    plutonium.to(filename=str(tmp_path / "pu.cif"), fmt="cif")
    for name, line in {
        "none.cif": f"{tmp_path}/none.cif: no such file",
        "partial.cif": f"{tmp_path}/partial.cif: partially occupied; a crystal with one element a site is allowed",
        "pu.cif": "dft.vasp.potcars: no POTCAR is chosen for Pu; name one, such as Pu: NAME",
    }.items():
        result = lzc("inputs", tmp_path / name)
        assert (result.code, result.out) == (2, "")
        assert result.err.splitlines()[-1].startswith(f"lzc: {line}")


def test_no_library_and_a_library_that_lacks_one(
    lzc: Callable, host_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    result = lzc("inputs", host_file)
    assert result.code == 0
    assert "no POTCAR library is set up: stand-ins of the headers served" in result.err
    assert "Zr_sv: TITEL = PAW_PBE Zr_sv STAND-IN" in result.out
    assert "PMG_VASP_PSP_DIR" not in SETTINGS | os.environ
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_library(tmp_path / "some", ["Li_sv", "Cl"])))
    result = lzc("inputs", host_file)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("lzc: POTCAR library: no POTCAR Zr_sv in its PBE_54 set; ")
