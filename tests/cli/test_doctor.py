from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from atomate2 import SETTINGS as ATOMATE2
from pymatgen.core import SETTINGS

from lzc_flows.database.stores import Database
from lzc_flows.engines.vasp_potcars import chosen_potcars
from lzc_flows.flows.spec import AimdStage, CinebStage, Stages
from lzc_flows.launch.doctor import DEFAULT_ENGINES
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.rehearsal.potcars import write_library

Tiny = Callable[[], dict[str, Any]]
LZC = Path(sys.executable).with_name("lzc")

NAMES = [
    "python",
    "packages",
    "settings",
    "campaigns folder",
    "database",
    "job store",
    "FireWorks files",
    "engine nep",
    "engine chgnet",
    "atomate2",
    "engine vasp",
    "POTCAR library",
    "VTST",
    "engine cp2k",
    "MPI",
    "batch system",
]


@pytest.fixture
def alone(set_lzc: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No server, no VASP and no POTCAR library; the folder that the campaigns would have."""
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    monkeypatch.setattr(ATOMATE2, "VASP_CMD", "no-such-vasp")
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "campaigns")):
        yield tmp_path / "campaigns"


def looked(lzc: Callable, *arguments: object, code: int = 0) -> dict[str, dict[str, str]]:
    """What a doctor finds, by name."""
    result = lzc("doctor", *arguments, "--json")
    assert (result.code, result.err) == (code, "")
    found = json.loads(result.out)
    for finding in found:
        assert list(finding) == ["name", "status", "found", "hint"]
        assert finding["found"] or finding["hint"]
        assert "\n" not in finding["found"] + finding["hint"]
    assert (code == 1) == ("missing" in [finding["status"] for finding in found])
    return {finding["name"]: finding for finding in found}


def only(found: dict[str, dict[str, str]], status: str) -> list[str]:
    return [name for name, finding in found.items() if finding["status"] == status]


def test_the_default_engines_are_those_of_the_stages() -> None:
    stages = [Stages().order, Stages().relax, AimdStage(top=1), CinebStage(top=1)]
    assert {stage.engine.name for stage in stages} == DEFAULT_ENGINES


def test_everything_is_looked_at_and_nothing_started(lzc: Callable, alone: Path) -> None:
    found = looked(lzc)
    assert list(found) == NAMES
    assert found["engine nep"]["found"].startswith("calorine ")
    assert found["database"]["found"].startswith("embedded, not running")
    assert found["engine vasp"]["hint"].startswith("no command 'no-such-vasp' here; set ATOMATE2_VASP_CMD")
    assert found["POTCAR library"]["status"] == "warning"
    assert "pmg config -p" in found["POTCAR library"]["hint"]
    assert found["VTST"]["hint"].startswith("cannot be seen from outside")
    assert not alone.exists()


def test_lines_for_people(lzc: Callable, alone: Path) -> None:
    result = lzc("doctor")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) == len(NAMES)
    assert lines[0] == f"ok       python: {sys.version.split()[0]}"
    assert lines[NAMES.index("POTCAR library")].startswith("warning  POTCAR library: PMG_VASP_PSP_DIR is not set; ")


def test_without_its_model_the_default_engine_is_missing(lzc: Callable, set_lzc: Callable, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LZC_MODELS_DIR", str(tmp_path))
        with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path)):
            found = looked(lzc, code=1)
    assert only(found, "missing") == ["engine nep"]
    assert found["engine nep"]["hint"] == "its model file is missing or damaged: run `lzc models install nep89`"


def test_what_a_campaign_does_not_need_is_not_missing(
    lzc: Callable, set_lzc: Callable, tiny: Tiny, campaign_file: Callable, tmp_path: Path
) -> None:
    content = tiny()
    for stage in ("order", "relax"):
        content["stages"][stage]["engine"] = "chgnet"
    path = campaign_file(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LZC_MODELS_DIR", str(tmp_path))
        with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path)):
            found = looked(lzc, path)
    assert found["engine nep"]["status"] == "warning"
    assert found["ions of chgnet (order, relax)"]["found"] == "Li+, Zr4+, Cl-, Ti3+, F-"
    assert found["softBV pairs"]["found"] == "Li+ with Zr4+, Cl-, Ti3+, F-"
    assert found["campaign tiny"]["found"] == "2 candidates"


def test_a_running_server_and_one_with_a_password(lzc: Callable, database: Database, set_lzc: Callable) -> None:
    open_launchpad(database).fireworks.insert_many([{"fw_id": n} for n in range(3)])
    names = database.collection("x").database.list_collection_names()
    found = looked(lzc)
    assert found["database"]["found"].endswith(f"; {database.name} has 3 fireworks, 0 task documents")
    assert [found[name]["status"] for name in ("writing", "data store", "clock")] == ["ok"] * 3
    # nothing is left behind
    assert database.collection("x").database.list_collection_names() == names
    uri = "mongodb://curie:Sesame@127.0.0.1:1/?appName=Sesame"
    with set_lzc(LZC_MONGO_URI=uri, LZC_MONGO_TIMEOUT_S="0.2"):
        result = lzc("doctor")
    assert result.code == 1
    assert "missing  database: no MongoDB server answers at mongodb://127.0.0.1:1: " in result.out
    for secret in ("Sesame", "curie"):
        assert secret not in result.out


def test_a_misspelt_setting(lzc: Callable, set_lzc: Callable) -> None:
    """Nothing else is looked at: all of it asks for the settings."""
    with set_lzc(LZC_MONGO_URL="mongodb://curie:Sesame@somewhere"):
        found = looked(lzc, code=1)
    assert list(found) == ["python", "packages", "settings"]
    assert found["settings"]["hint"].startswith("unknown setting LZC_MONGO_URL: allowed are ")
    assert "Sesame" not in str(found)


def test_a_folder_that_cannot_be_written(lzc: Callable, set_lzc: Callable, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with set_lzc(LZC_CAMPAIGNS_DIR=str(tmp_path / "file" / "campaigns")):
        found = looked(lzc, code=1)
    assert found["campaigns folder"]["hint"].startswith("it cannot be written: set LZC_CAMPAIGNS_DIR")


def test_a_library_of_potcars(lzc: Callable, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "library"
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(library))
    found = looked(lzc)["POTCAR library"]
    assert (found["status"], found["hint"].partition(";")[0]) == ("warning", "none in it")
    write_library(library)
    found = looked(lzc)["POTCAR library"]
    count = len(chosen_potcars())
    assert found["found"] == f"{library / 'POT_GGA_PAW_PBE_54'}: {count} of the {count} of data/potcars.yaml"
    assert found["hint"].startswith("stand-ins for rehearsals")
    # as one of real POTCARs would be, two of them missing, one in a folder of its own
    folder = library / "POT_GGA_PAW_PBE_54"
    for symbol in ("Ti_pv", "Zr_sv"):
        (folder / f"POTCAR.{symbol}.gz").unlink()
    (folder / "Li_sv").mkdir()
    (folder / "POTCAR.Li_sv.gz").rename(folder / "Li_sv" / "POTCAR.gz")
    for file in folder.glob("**/POTCAR*"):
        _make_real(file)
    found = looked(lzc)["POTCAR library"]
    assert (found["status"], found["hint"]) == ("warning", "not there: Ti_pv, Zr_sv")
    for symbol in ("Ti_pv", "Zr_sv"):
        (folder / f"POTCAR.{symbol}.gz").write_bytes((folder / "POTCAR.Cl.gz").read_bytes())
    assert looked(lzc)["POTCAR library"]["status"] == "ok"


def _make_real(file: Path) -> None:
    """Let a stand-in no longer say that it is one."""
    import gzip

    text = gzip.decompress(file.read_bytes()).decode()
    file.write_bytes(gzip.compress(text.replace("STAND-IN", "06Sep2000").encode()))


@pytest.fixture
def vasp_campaign(tiny: Tiny, campaign_file: Callable) -> Path:
    """Ti3+ and F- by VASP."""
    content = tiny()
    content["stages"]["relax"]["engine"] = "vasp"
    return campaign_file(content)


def test_a_campaign_without_what_it_needs(
    lzc: Callable, alone: Path, vasp_campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = looked(lzc, vasp_campaign, code=1)
    assert {"engine vasp", "POTCAR library", "ions of vasp (relax)"} <= set(only(found, "missing"))
    assert found["ions of vasp (relax)"]["hint"].startswith("POTCAR library: PMG_VASP_PSP_DIR is not set; ")
    assert found["ions of nep (order)"]["status"] == "ok"
    assert "campaign tiny" not in found
    library = write_library(tmp_path / "library", ["Li_sv", "Zr_sv", "Cl"])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(library))
    found = looked(lzc, vasp_campaign, code=1)
    assert found["POTCAR library"]["status"] == "warning"
    hint = found["ions of vasp (relax)"]["hint"]
    assert [symbol for symbol in ("Li_sv", "Zr_sv", "Cl", "Ti_pv", "F") if f"no POTCAR {symbol} in" in hint] == [
        "Ti_pv",
        "F",
    ]
    write_library(library)
    found = looked(lzc, vasp_campaign, code=1)
    assert only(found, "missing") == ["engine vasp"]
    assert found["campaign tiny"]["status"] == "ok"


def test_what_no_ion_alone_shows(
    lzc: Callable,
    alone: Path,
    tiny: Tiny,
    campaign_file: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ti3+ has one unpaired electron; the pristine cell has none."""
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_library(tmp_path / "library")))
    content = tiny()
    content["stages"]["relax"]["engine"] = {"name": "vasp", "dft": {"spin": "none"}}
    found = looked(lzc, campaign_file(content), code=1)
    assert found["ions of vasp (relax)"]["status"] == "ok"
    assert "dft.spin: none wants an even number of electrons" in found["campaign tiny"]["hint"]


def test_pairs_that_softbv_lacks(lzc: Callable, alone: Path, tiny: Tiny, campaign_file: Callable) -> None:
    content = tiny()
    content["grid"]["cations"] = ["Ti3+", "Pr4+"]
    found = looked(lzc, campaign_file(content), code=1)
    assert only(found, "missing") == ["softBV pairs"]
    assert "Pr4+ (coulomb; in 1 combination" in found["softBV pairs"]["hint"]


@pytest.mark.parametrize(
    ("grid", "line"),
    [
        ({"cation_sites": ["9z"]}, "lzc: campaign "),
        ({"supercel": [1, 1, 1]}, "lzc: campaign "),
    ],
)
def test_a_campaign_that_is_not_possible(
    lzc: Callable, alone: Path, tiny: Tiny, campaign_file: Callable, grid: dict[str, Any], line: str
) -> None:
    content = tiny()
    content["grid"] |= grid
    result = lzc("doctor", campaign_file(content))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(line)
    assert len(result.err.splitlines()) == 1


def test_a_campaign_that_is_not_there(lzc: Callable, alone: Path, tmp_path: Path) -> None:
    result = lzc("doctor", tmp_path / "none.yaml")
    assert (result.code, result.out, result.err) == (2, "", f"lzc: campaign {tmp_path / 'none.yaml'}: no such file\n")


@pytest.fixture
def in_an_environment(tmp_path: Path) -> Callable[..., dict[str, dict[str, str]]]:
    """Run a doctor in a process of its own, with these variables beside what a shell has."""

    def run(code: int = 0, *options: str, **variables: str) -> dict[str, dict[str, str]]:
        mine = ("LZC_", "ATOMATE2_", "JOBFLOW_", "PMG_", "SLURM_", "FW_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
        folders = {name: os.environ[name] for name in ("LZC_MODELS_DIR",) if name in os.environ}
        environment = clean | folders | {"LZC_CAMPAIGNS_DIR": str(tmp_path / "campaigns")} | variables
        command = [LZC, "doctor", "--json", *options]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=environment, cwd=tmp_path
        )
        assert done.returncode == code, done.stderr
        return {finding["name"]: finding for finding in json.loads(done.stdout)}

    return run


def test_programs_and_files_of_others(in_an_environment: Callable, tmp_path: Path) -> None:
    config = tmp_path / "jobflow.yaml"
    store = {"type": "MongoStore", "uri": "mongodb://curie:Sesame@host", "database": "d", "collection_name": "c"}
    config.write_text(json.dumps({"JOB_STORE": {"docs_store": store}}))
    vasp = tmp_path / "vasp_std"
    vasp.write_text("#!/bin/sh\n")
    vasp.chmod(0o755)
    found = in_an_environment(
        ATOMATE2_VASP_CMD=f"{vasp} --now",
        ATOMATE2_VASP_COMD="x",
        ATOMATE2_CP2K_CMD="no-such-cp2k",
        JOBFLOW_CONFIG_FILE=str(config),
        SLURM_JOB_ID="17",
    )
    assert found["engine vasp"]["status"] == "ok"
    assert found["engine vasp"]["found"].startswith(f"{vasp} --now (")
    assert found["VASP for Γ alone"]["status"] == "warning"
    assert found["atomate2"]["hint"] == "it ignores ATOMATE2_VASP_COMD; did you mean ATOMATE2_VASP_CMD?"
    assert found["engine cp2k"]["status"] == "warning"
    assert found["engine cp2k"]["hint"].startswith("no command 'no-such-cp2k' here: install CP2K")
    assert found["job store"]["status"] == "warning"
    assert f"{config} has no additional store `data`" in found["job store"]["hint"]
    assert found["batch system"]["status"] == "warning"
    assert "set LZC_WALLTIME_END_S" in found["batch system"]["hint"]
    assert "Sesame" not in str(found)


def test_a_rehearsal_in_a_batch_job(in_an_environment: Callable, tmp_path: Path) -> None:
    store = {"type": "MongoStore", "host": "elsewhere", "database": "lzc_flows", "collection_name": "tasks"}
    config = tmp_path / "jobflow.yaml"
    config.write_text(json.dumps({"JOB_STORE": {"docs_store": store, "additional_stores": {"data": store}}}))
    ends = int(time.time()) + 3600
    stand_in = f"{sys.executable} -m lzc_flows.rehearsal"
    found = in_an_environment(
        ATOMATE2_VASP_CMD=stand_in,
        ATOMATE2_VASP_GAMMA_CMD=stand_in,
        PMG_VASP_PSP_DIR=str(write_library(tmp_path / "library")),
        JOBFLOW_CONFIG_FILE=str(config),
        SLURM_JOB_ID="17",
        SLURM_JOB_END_TIME=str(ends),
    )
    assert found["engine vasp"]["found"].endswith("-m lzc_flows.rehearsal (a stand-in for rehearsals)")
    assert found["VTST"]["status"] == "ok"
    assert found["POTCAR library"]["hint"].startswith("stand-ins for rehearsals")
    assert found["job store"]["status"] == "warning"
    assert (
        f"for rlaunch, {config} has the server at mongodb://elsewhere:27017, the embedded" in found["job store"]["hint"]
    )
    stops = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ends - 120))
    assert f"in job 17, long runs stop in order at {stops}" in found["batch system"]["found"]


def test_as_if_a_folders_environment_were_set(in_an_environment: Callable, lzc: Callable, tmp_path: Path) -> None:
    """Broken files of FireWorks are told in one line each; `lzc init` is what mends them."""
    folder = tmp_path / "launchpad"
    uri = "mongodb://127.0.0.1:1/"
    assert lzc("init", folder, "--uri", uri, "--database", "mine", "--yes").code == 0
    (folder / "my_fworker.yaml").write_text("[")
    code, variables = 1, {"LZC_MONGO_TIMEOUT_S": "0.2"}
    found = in_an_environment(code, "--launchpad", str(folder), **variables)
    assert found["settings"]["found"].count("LZC_MONGO_URI_FILE") == 1
    assert {"database", "worker file"} == set(only(found, "missing")) - {"batch system", "queue adapter"}
    assert found["worker file"]["hint"].startswith(f"{folder}/my_fworker.yaml is not what FireWorks reads: ")
    assert found["LaunchPad file"]["found"] == f"{folder}/my_launchpad.yaml: mongodb://127.0.0.1:1, database mine"
    assert found["queue adapter"]["status"] in ("warning", "missing")
    (folder / "FW_config.yaml").write_text("LAUNCHPAD_LOK: x\n")
    found = in_an_environment(code, "--launchpad", str(folder), **variables)
    assert "unknown parameter: LAUNCHPAD_LOK" in found["FireWorks files"]["hint"]
    assert "queue adapter" not in found


def test_a_folder_without_env_sh(lzc: Callable, tmp_path: Path) -> None:
    result = lzc("doctor", "--launchpad", tmp_path)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"lzc: --launchpad {tmp_path}: no env.sh in it; `lzc init {tmp_path}` writes it\n"


def test_files_of_others_that_cannot_be_read(in_an_environment: Callable, tmp_path: Path) -> None:
    """They would stop every job; what they hold is not told."""
    for name in ("atomate2", "jobflow"):
        (tmp_path / f"{name}.yaml").write_text("Sesame: [\n")
    found = in_an_environment(
        1,
        ATOMATE2_CONFIG_FILE=str(tmp_path / "atomate2.yaml"),
        JOBFLOW_CONFIG_FILE=str(tmp_path / "jobflow.yaml"),
    )
    assert only(found, "missing") == ["job store", "atomate2"]
    assert found["job store"]["hint"].endswith("mend the file of JOBFLOW_CONFIG_FILE")
    assert found["atomate2"]["hint"].endswith("mend the file of ATOMATE2_CONFIG_FILE")
    assert "Sesame" not in str(found)
