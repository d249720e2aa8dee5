"""Every fault under the real custodian: mended, or ended by name."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from custodian import Custodian
from custodian.custodian import ErrorHandler, NonRecoverableError, ValidationError
from custodian.vasp.handlers import (
    FrozenJobErrorHandler,
    NonConvergingErrorHandler,
    UnconvergedErrorHandler,
    VaspErrorHandler,
    WalltimeHandler,
)
from custodian.vasp.jobs import VaspJob
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import Incar, Poscar
from pymatgen.io.vasp.outputs import Outcar, Vasprun

from lzc_flows.errors import InputError
from lzc_flows.rehearsal.__main__ import main
from lzc_flows.rehearsal.faults import Faults, read_faults
from lzc_flows.rehearsal.inputs import read_inputs
from lzc_flows.settings import get_settings

FORK = multiprocessing.get_context("fork")


def _calculate(folder: str, output: str) -> None:
    os.chdir(folder)
    with Path(output).open("w") as stream, contextlib.redirect_stdout(stream):
        get_settings.cache_clear()
        status = main()
    os._exit(status)


class ForkedJob(VaspJob):
    """Custodian's job without a second for Python to start; it is not monitored while it runs."""

    def run(self, directory: str = "./") -> None:
        process = FORK.Process(target=_calculate, args=(directory, self.output_file))
        process.start()
        process.join()


class Trial:
    """A folder with inputs, faults and a custodian."""

    def __init__(self, folder: Path, faults: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.faults = folder.parent / "faults.json"
        self.faults.write_text(json.dumps(faults))
        monkeypatch.setenv("LZC_REHEARSAL_FAULTS", str(self.faults))

    def run(self, *handlers: ErrorHandler, job_type: type[VaspJob] = ForkedJob) -> list[str]:
        """Run VASP under custodian; return the errors that were corrected."""
        command = [sys.executable, "-m", "lzc_flows.rehearsal"]
        job = job_type(command, auto_npar=False, auto_gamma=False, backup=False, terminate_timeout=5)
        custodian = Custodian(
            list(handlers) or [VaspErrorHandler(), UnconvergedErrorHandler()],
            [job],
            validators=[VasprunXMLValidator(), VaspFilesValidator()],
            max_errors=5,
            polling_time_step=0.5,
            monitor_freq=1,
            directory=str(self.folder),
        )
        custodian.run()
        log = json.loads((self.folder / "custodian.json").read_text())
        return [error for entry in log for correction in entry["corrections"] for error in correction["errors"]]

    @property
    def incar(self) -> Incar:
        return Incar.from_file(self.folder / "INCAR")

    @property
    def vasprun(self) -> Vasprun:
        return Vasprun(self.folder / "vasprun.xml", parse_potcar_file=False)


@pytest.fixture
def trial(
    tags: dict[str, Any],
    written: Callable[..., Path],
    salt: Structure,
    tmp_path: Path,
    no_faults: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Trial]:
    def make(kind: str, fault: dict[str, Any], **changes: Any) -> Trial:
        folder = written(tmp_path / "run", {**tags[kind], "EDIFFG": -0.03, **changes}, salt)
        return Trial(folder, [fault], monkeypatch)

    return make


@pytest.mark.parametrize(
    ("fault", "changes", "mended"),
    [
        ("zbrent", {}, {"NELMIN": 8, "EDIFF": 1e-6}),
        ("edddav", {"ALGO": "Fast"}, {"ALGO": "All", "ISEARCH": 1}),
        ("eddrmm", {"ALGO": "Fast"}, {"ALGO": "Normal"}),
        ("brmix", {}, {"ISTART": 1}),
        ("zpotrf", {}, {"ISYM": 0, "POTIM": 0.25}),
        ("posmap", {}, {"SYMPREC": 1e-6}),
    ],
)
def test_messages_are_mended(
    fault: str, changes: dict[str, Any], mended: dict[str, Any], trial: Callable[..., Trial]
) -> None:
    step = 1 if fault == "posmap" else 2
    made = trial("relax", {"fault": fault, "kind": "relax", "step": step}, **changes)
    start = Poscar.from_file(made.folder / "POSCAR").structure
    assert made.run(VaspErrorHandler()) == [fault]
    assert {tag: made.incar[tag] for tag in mended} == mended
    assert made.vasprun.converged
    continued = Poscar.from_file(made.folder / "POSCAR").structure != start
    assert continued == (fault in {"zbrent", "edddav", "eddrmm"})


@pytest.mark.slow
def test_until_a_tag_mends_it(trial: Callable[..., Trial]) -> None:
    made = trial("relax", {"fault": "zbrent", "step": 1, "until": {"IBRION": [1]}})
    # the executable itself, monitored
    assert made.run(VaspErrorHandler(), job_type=VaspJob) == ["zbrent", "zbrent"]
    assert made.incar["IBRION"] == 1
    assert made.vasprun.converged


def test_electrons_that_never_converge(trial: Callable[..., Trial]) -> None:
    fault = {"fault": "nonconverging", "step": 1, "until": {"ALGO": ["Normal"]}}
    made = trial("relax", fault, ALGO="Fast", NELM=12, EDIFFG=-1e-3)
    assert made.run(NonConvergingErrorHandler(nionic_steps=2)) == ["Non-converging job"]
    assert made.incar["ALGO"] == "Normal"
    assert made.vasprun.converged


def test_ions_that_never_converge(trial: Callable[..., Trial]) -> None:
    made = trial("relax", {"fault": "unconverged", "step": 2}, NSW=20)
    assert made.run(UnconvergedErrorHandler()) == ["Unconverged"]
    assert made.incar["IBRION"] == 1
    assert made.vasprun.converged


@pytest.mark.slow
def test_frozen(trial: Callable[..., Trial]) -> None:
    made = trial("relax", {"fault": "frozen", "step": 2})
    assert made.run(FrozenJobErrorHandler(timeout=6), job_type=VaspJob) == ["Frozen job"]
    assert made.vasprun.converged


@pytest.mark.parametrize(("fault", "step"), [("kill", 2), ("truncated", 1)])
def test_ends_by_name(fault: str, step: int, trial: Callable[..., Trial]) -> None:
    made = trial("relax", {"fault": fault, "step": step})
    with pytest.raises(ValidationError, match="VasprunXMLValidator"):
        made.run()
    # once: the next run is whole
    assert made.run() == []
    assert made.vasprun.converged


def test_a_mistake_of_the_user_ends_at_once(trial: Callable[..., Trial]) -> None:
    made = trial("relax", {"fault": "kill", "times": 0}, MDALGO=2)
    with pytest.raises(NonRecoverableError):
        made.run(VaspErrorHandler())


def test_walltime_stops_in_order(
    tags: dict[str, Any], trial: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUSTODIAN_WALLTIME_START", raising=False)
    made = trial("md", {"fault": "kill", "times": 0}, NSW=100000, EDIFFG=-0.03)
    # it goes on asking until the run has ended
    assert set(made.run(WalltimeHandler(wall_time=6, buffer_time=2), job_type=VaspJob)) == {"Walltime reached"}
    assert Outcar(made.folder / "OUTCAR").is_stopped
    assert 0 < len(made.vasprun.ionic_steps) < 100000
    assert Poscar.from_file(made.folder / "CONTCAR").velocities is not None


def test_whom_it_concerns(tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path) -> None:
    inputs = read_inputs(written(tmp_path, tags["relax"], salt))
    faults = [
        {"fault": "kill"},
        {"fault": "kill", "kind": "md"},
        {"fault": "kill", "formula": "Li4Cl4"},
        {"fault": "kill", "formula": "Zr"},
        {"fault": "kill", "until": {"IBRION": [1, 2]}},
        {"fault": "kill", "until": {"LWAVE": [True]}},
    ]
    (tmp_path / "faults.json").write_text(json.dumps(faults))
    assert sorted(Faults.of(tmp_path / "faults.json", inputs).concerned) == [0, 2, 5]


def _count(file: Path, inputs: Any, done: Any) -> None:
    done.put(sum(Faults.of(file, inputs).begins("kill", 1) for _ in range(20)))


def test_counted_across_processes(
    tags: dict[str, Any], written: Callable[..., Path], salt: Structure, tmp_path: Path
) -> None:
    inputs = read_inputs(written(tmp_path, tags["relax"], salt))
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"fault": "kill", "times": 7}]))
    done = FORK.Queue()
    processes = [FORK.Process(target=_count, args=(file, inputs, done)) for _ in range(4)]
    for process in processes:
        process.start()
    assert sum(done.get(timeout=20) for _ in processes) == 7
    for process in processes:
        process.join()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "faults"),
        ("{}", "a list of objects"),
        ('[{"fault": "flood"}]', "fault 'flood': allowed are zbrent"),
        ('[{"fault": "kill", "kind": "dos"}]', "kind 'dos': allowed are static"),
        ('[{"fault": "kill", "when": 3}]', "'when': allowed are fault"),
    ],
)
def test_unknown_faults(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text(content)
    with pytest.raises(InputError, match=words):
        read_faults(tmp_path / "faults.json")
