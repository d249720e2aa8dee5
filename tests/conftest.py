from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pymatgen.core
import pytest
import yaml
from atomate2 import SETTINGS
from pymatgen.core import Structure
from pymongo import monitoring

from lzc_flows.band.settle import SettleLimits, settle
from lzc_flows.cli.main import main
from lzc_flows.crystal.host import ideal_host
from lzc_flows.database.server import ServerInfo, find_server, start_server, stop_server
from lzc_flows.database.stores import Database, connect
from lzc_flows.engines.base import Ions
from lzc_flows.engines.mlip import MLIPS
from lzc_flows.hopping.ends import Ends, ends
from lzc_flows.hopping.hops import find_hops
from lzc_flows.hopping.host_sites import host_sites
from lzc_flows.recovery import vasp
from lzc_flows.rehearsal.potcars import write_library
from lzc_flows.settings import get_settings

# the same examples in each run, so that what fails fails for everyone; `--hypothesis-profile explore` draws others
hypothesis.settings.register_profile("house", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("house")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # as a shell hands it to what it starts in the background; the tests of Ctrl-C need it heard
    signal.signal(signal.SIGINT, signal.default_int_handler)

Forked = multiprocessing.context.ForkProcess
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerInfo]:
    """The embedded server; each test has a database of its own in it."""
    folder = tmp_path_factory.mktemp("server")
    yield start_server(folder)
    stop_server(folder)


@pytest.fixture
def own_campaigns(tmp_path: Path, set_lzc: Callable[..., Any]) -> Iterator[Path]:
    """A campaigns folder with an embedded server of its own, which the test may kill."""
    folder = tmp_path / "campaigns"
    with set_lzc(LZC_CAMPAIGNS_DIR=str(folder), LZC_MONGO_TIMEOUT_S="2"):
        yield folder
    stop_server(folder)


@pytest.fixture(scope="session")
def kill_server() -> Callable[[Path], None]:
    """Kill the embedded server of a campaigns folder."""

    def kill(folder: Path) -> None:
        server = find_server(folder)
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)

    return kill


@contextlib.contextmanager
def environment(**settings: str) -> Iterator[None]:
    """Exactly these `LZC_*` variables, and where the models are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LZC_") and name != "LZC_MODELS_DIR"]:
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        try:
            yield
        finally:
            get_settings.cache_clear()


@pytest.fixture(scope="session")
def set_lzc() -> Callable[..., contextlib.AbstractContextManager[None]]:
    """A context manager that sets `LZC_*` variables and nothing else of that prefix."""
    return environment


@dataclass(frozen=True)
class VaspStandIn:
    """The stand-in for VASP that atomate2's settings name, with a library of POTCARs; see `lzc_flows.rehearsal`."""

    folder: Path
    library: Path
    patch: pytest.MonkeyPatch

    def fail(self, *faults: dict[str, Any]) -> None:
        """Let it fail from now on, as `lzc_flows.rehearsal.faults` has it; without faults, let it work."""
        (self.folder / "faults.json.state").unlink(missing_ok=True)
        (self.folder / "faults.json").write_text(json.dumps(faults))

    def happened(self) -> int:
        """How many faults have happened."""
        state = self.folder / "faults.json.state"
        return sum(json.loads(state.read_text()).values()) if state.is_file() else 0

    def set(self, **settings: object) -> None:
        """Set `LZC_*` variables; None takes one away."""
        for name, value in settings.items():
            if value is None:
                self.patch.delenv(name, raising=False)
            else:
                self.patch.setenv(name, str(value))
        get_settings.cache_clear()

    def command(self, *command: str) -> None:
        """Let another command be VASP."""
        for name in ("VASP_CMD", "VASP_GAMMA_CMD"):
            self.patch.setattr(SETTINGS, name, shlex.join(command))
            # workers are processes of their own
            self.patch.setenv(f"ATOMATE2_{name}", shlex.join(command))

    def potcars(self, library: Path | None) -> None:
        """Let another folder, or none, be the library of POTCARs."""
        if library is None:
            self.patch.delitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
            self.patch.delenv("PMG_VASP_PSP_DIR", raising=False)
        else:
            self.patch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", str(library))
            self.patch.setenv("PMG_VASP_PSP_DIR", str(library))


@contextlib.contextmanager
def standing_in(folder: Path, library: Path) -> Iterator[VaspStandIn]:
    """The stand-in is VASP."""
    with environment(LZC_REHEARSAL_FAULTS=str(folder / "faults.json")), pytest.MonkeyPatch.context() as patch:
        stand_in = VaspStandIn(folder, library, patch)
        stand_in.fail()
        stand_in.command(sys.executable, "-m", "lzc_flows.rehearsal")
        stand_in.potcars(library)
        patch.setattr(vasp, "POLL_S", 0.05)
        patch.setattr(vasp, "POLLS_A_CHECK", 4)
        for name in ("SLURM_JOB_END_TIME", "CUSTODIAN_WALLTIME_START"):
            patch.delenv(name, raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        get_settings.cache_clear()
        yield stand_in


@pytest.fixture(scope="session")
def potcars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of stand-ins for POTCARs."""
    return write_library(tmp_path_factory.mktemp("potcars"))


@pytest.fixture
def vasp_stand_in(tmp_path_factory: pytest.TempPathFactory, potcars: Path) -> Iterator[VaspStandIn]:
    """The stand-in for VASP is VASP in this test, and does as it is told."""
    with standing_in(tmp_path_factory.mktemp("stand-in"), potcars) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def vasp_stands_in(tmp_path_factory: pytest.TempPathFactory, potcars: Path) -> Callable[[], Any]:
    """A context manager in which the stand-in for VASP is VASP, for what several tests look at."""
    return lambda: standing_in(tmp_path_factory.mktemp("stand-in"), potcars)


@pytest.fixture
def database(server: ServerInfo, tmp_path: Path) -> Iterator[Database]:
    """An empty database, the one that this process's settings name."""
    name = f"test_{secrets.token_hex(6)}"
    folder = str(tmp_path / "campaigns")
    with environment(LZC_MONGO_URI=server.uri, LZC_MONGO_DATABASE=name, LZC_CAMPAIGNS_DIR=folder):
        database = connect()
        yield database
        database.collection("plan").database.client.close()


@pytest.fixture(scope="session")
def tiny() -> Callable[[], dict[str, Any]]:
    """A campaign of two candidates that runs in seconds; only the relax stage starts an engine."""

    def content() -> dict[str, Any]:
        return {
            "name": "tiny",
            "host": "lzc",
            "grid": {
                "supercell": [1, 1, 1],
                "cations": ["Ti3+"],
                "cation_sites": ["1a"],
                "cation_counts": [1],
                "anions": ["F-"],
                "anion_sites": ["6i"],
                "anion_counts": [1],
                "undoped": True,
            },
            "stages": {
                "order": {
                    "engine": "nep",
                    "protocol": {"shortlist": 1, "fmax_ev_per_angstrom": 0.2, "max_steps": 100},
                },
                "relax": {
                    "engine": "nep",
                    "protocol": {"fmax_ev_per_angstrom": 0.2, "max_steps": 200, "optimizer": "FIRE"},
                },
                "bvse": {"protocol": {"mobile": "Li+", "resolution_angstrom": 0.5, "cutoff_angstrom": 8.0}},
            },
            "ranking": {"performance": {"barrier_1d": 1.0, "barrier_3d": 1.0}, "cost_weight": 0.5},
        }

    return content


@pytest.fixture(scope="session")
def own_host() -> Callable[[float], dict[str, Any]]:
    """The built-in host as a CIF of one's own, one Cl shifted along c by a fraction of the cell."""

    def host(shift: float) -> dict[str, Any]:
        labelled = ideal_host().structure
        bare = labelled.copy().remove_oxidation_states()
        for number, site in enumerate(bare):
            site.label = f"{site.specie.symbol}{number}"
        chlorine = next(number for number, site in enumerate(bare) if site.specie.symbol == "Cl")
        bare.translate_sites([chlorine], [0, 0, shift])
        return {
            "name": "mine",
            "cif": bare.to(fmt="cif"),
            "labels": dict(zip(bare.labels, labelled.site_properties["wyckoff"], strict=True)),
            "oxidation_states": {"Li": 1, "Zr": 4, "Cl": -1},
        }

    return host


@pytest.fixture(scope="session")
def settled_host() -> Structure:
    """The built-in host, 27 atoms with charges and labels, its atoms at rest in NEP89's forces."""
    host = ideal_host().structure
    force_field = MLIPS["nep"].force_field(Ions(tuple([site.specie.symbol for site in host])))
    settled = settle(host.cart_coords, host.lattice.matrix, force_field, SettleLimits(1e-3, 200))
    assert settled.converged
    return Structure(
        host.lattice, host.species, settled.positions, coords_are_cartesian=True, site_properties=host.site_properties
    )


@pytest.fixture(scope="session")
def hop_ends(settled_host: Structure) -> Ends:
    """An ion of the settled host goes from 6h to the empty 6g site above it, 3 Å along c."""
    sites = host_sites(settled_host, ideal_host())
    found = (hop for hop in find_hops(sites, "frenkel") if sites.labels[hop.moves[0].to] == "6g")
    return ends(sites, next(found))


@pytest.fixture
def campaign_file(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write a campaign's content as YAML."""

    def write(content: dict[str, Any]) -> Path:
        path = tmp_path / f"{content['name']}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def run_lzc(*arguments: object) -> Result:
    """Run `lzc` in this process, which has imported everything already."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["lzc", *map(str, arguments)])
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def lzc() -> Callable[..., Result]:
    """Run `lzc` in this process."""
    return run_lzc


@pytest.fixture
def fork() -> Iterator[Callable[..., Forked]]:
    """Run a function in a child process; children that are left are killed."""
    children: list[Forked] = []

    def start(function: Callable[..., object], *arguments: object) -> Forked:
        child = FORK.Process(target=function, args=arguments, daemon=True)
        child.start()
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.join()


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Wait for a condition."""

    def wait(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait


class AtCommand(monitoring.CommandListener):
    """Something that happens right after the server has done the `number`-th command of this process."""

    def __init__(self, number: int, event: Callable[[], object]) -> None:
        self.number, self.event, self.done = number, event, 0

    def started(self, event: monitoring.CommandStartedEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self.done += 1
        if self.done == self.number:
            self.event()


@pytest.fixture(scope="session")
def act_at() -> Callable[..., None]:
    """Let something happen right after the server has done the `number`-th command of an action.

    For processes of their own: whatever connects there afterwards is listened to.
    """

    def act(number: int, event: Callable[[], object], action: Callable[..., object], *arguments: object) -> None:
        monitoring.register(AtCommand(number, event))
        action(*arguments)

    return act


@pytest.fixture(scope="session")
def die_at(act_at: Callable[..., None]) -> Callable[..., None]:
    """Run an action and be killed right after the server has done its `number`-th command."""

    def act(number: int, action: Callable[..., object], *arguments: object) -> None:
        act_at(number, lambda: os.kill(os.getpid(), signal.SIGKILL), action, *arguments)

    return act
