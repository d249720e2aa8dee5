"""A whole campaign with the stand-in for VASP: real processes, a real server, FireWorks."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

QUICK = {"kpoints": {"mesh": [1, 1, 1]}, "vasp": {"incar": dict.fromkeys(("NGX", "NGY", "NGZ"), 40)}}
DENSITY = copy.deepcopy(QUICK)
DENSITY["vasp"]["incar"] |= dict.fromkeys(("NGXF", "NGYF", "NGZF"), 40)
ALL_STAGES = {
    "relax": {"engine": {"name": "vasp", "dft": QUICK}, "protocol": {"fmax_ev_per_angstrom": 0.1, "max_steps": 60}},
    "aimd": {
        "engine": "nep",
        "protocol": {
            "segments": [
                {"ensemble": "nvt", "temperature": [100, 400], "ps": 0.04, "time_step_fs": 2},
                {"ensemble": "nvt", "temperature": 400, "ps": 0.06, "time_step_fs": 2},
            ]
        },
        "top": 1,
    },
    "cineb": {
        "engine": "nep",
        "protocol": {"fmax_climbing_ev_per_angstrom": 0.1, "fmax_ends_ev_per_angstrom": 0.1, "images": 3},
        "hops": {"mechanisms": ["vacancy"], "most": 1},
        "top": 1,
    },
    "electronic": {"engine": {"name": "vasp", "dft": DENSITY}, "protocol": {"hop": "vacancy-1"}, "top": 1},
}


class Rehearsals:
    """The command in processes of its own, with folders of its own; no POTCAR library and no VASP is set up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        hidden = ("PMG_VASP_PSP_DIR", "ATOMATE2_VASP_CMD", "LZC_MONGO_URI")
        self.environment = {name: value for name, value in os.environ.items() if name not in hidden}
        self.environment |= {"LZC_CAMPAIGNS_DIR": str(folder / "campaigns"), "OMP_NUM_THREADS": "1"}

    def lzc(self, *words: Any, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours."""
        command = [sys.executable, "-c", "from lzc_flows.cli.main import main; main()", *map(str, words)]
        return subprocess.run(
            command, env=self.environment | environment, capture_output=True, text=True, timeout=600, check=False
        )

    def inside(self, *words: Any) -> subprocess.CompletedProcess[str]:
        """Run a command on what has been rehearsed."""
        return self.lzc(*words, LZC_CAMPAIGNS_DIR=str(self.folder / "campaigns" / "rehearsals"))


@pytest.fixture
def rehearsals(tmp_path: Path) -> Iterator[Rehearsals]:
    here = Rehearsals(tmp_path)
    yield here
    here.inside("db", "stop")


@pytest.fixture
def undoped(tiny: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The undoped host alone, 27 atoms."""
    content = tiny()
    content["grid"] |= {"cations": [], "anions": []}
    return content


def test_every_stage_fills_its_document_and_what_fails_is_mended(
    rehearsals: Rehearsals, undoped: dict[str, Any], campaign_file: Callable[..., Path]
) -> None:
    undoped["stages"] |= ALL_STAGES
    faults = rehearsals.folder / "faults.json"
    faults.write_text(
        json.dumps(
            [
                {"fault": "edddav", "kind": "relax", "until": {"ALGO": ["All", "Normal"]}},
                {"fault": "kill", "kind": "md", "step": 13, "times": 1},
            ]
        )
    )
    path = campaign_file(undoped)
    done = rehearsals.lzc("rehearse", path, "--engine", "vasp", "--faults", faults, "-n", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert "stand-ins of the headers serve" in done.stderr
    found = json.loads(done.stdout)
    assert found["failures"] == []
    stages = found["stages"]
    assert {name: stage["documents"] for name, stage in stages.items()} == dict.fromkeys(
        ("order", "relax", "bvse", "aimd", "cineb", "electronic"), 1
    )
    # a relaxation; a ramp, cut and gone on with, and a held segment; two ends and a band, which dips into a minimum
    # and becomes two; two points of two runs each
    assert {name: stages[name]["calculations"] for name in ("relax", "aimd", "cineb", "electronic")} == {
        "relax": 1,
        "aimd": 3,
        "cineb": 6,
        "electronic": 4,
    }
    assert stages["relax"]["corrections"] == {"VaspErrorHandler": 1}
    assert stages["aimd"]["corrections"] == {"CutShort": 1}
    (candidate,) = json.loads(rehearsals.inside("query", "tiny", "--where", "corrections~ALGO = All", "--json").stdout)
    assert "a stand-in for VASP" in candidate["engines"]["electronic"]
    assert candidate["electronic_hop"] == "vacancy-1"
    assert candidate["gap_ev"] > 0
    assert (candidate["hops"], candidate["hops_converged"]) == (1, 1)
    assert json.loads(rehearsals.inside("query", "tiny", "--where", "corrections~POTIM", "--json").stdout) == []
    # nothing is left to do, and nothing of it is in the real database
    again = rehearsals.lzc("rehearse", path, "--json")
    assert json.loads(again.stdout)["stages"]["relax"]["launches"] == stages["relax"]["launches"]
    assert not (rehearsals.folder / "campaigns" / "tiny").exists()


def test_what_vasp_would_refuse_is_told_before(
    rehearsals: Rehearsals, undoped: dict[str, Any], campaign_file: Callable[..., Path]
) -> None:
    undoped["stages"]["relax"] = {"engine": {"name": "vasp", "dft": {"vasp": {"incar": {"ENCUT": 300}}}}}
    refused = rehearsals.lzc("rehearse", campaign_file(undoped))
    assert refused.returncode == 2
    assert "dft.vasp.incar: ENCUT is set already; it follows from dft.cutoff_ev" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.yaml",), "lzc: campaign none.yaml: no such file"),
        (("FILE", "--faults", "none.json"), "lzc: --faults none.json: no such file"),
        (("FILE", "--engine", "cp2k"), "lzc: engine 'cp2k': vasp is allowed"),
    ],
)
def test_bad_input_is_one_line(
    rehearsals: Rehearsals,
    undoped: dict[str, Any],
    campaign_file: Callable[..., Path],
    words: tuple[str, ...],
    said: str,
) -> None:
    path = str(campaign_file(undoped))
    done = rehearsals.lzc("rehearse", *(path if word == "FILE" else word for word in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert not (rehearsals.folder / "campaigns").exists()
