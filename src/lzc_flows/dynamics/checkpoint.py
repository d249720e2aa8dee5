"""Checkpoints: states on disk, to the last bit, each of one run and no other."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.documents.base import EngineStamp
from lzc_flows.dynamics.forces import System
from lzc_flows.dynamics.state import Crystal, Extended, State
from lzc_flows.errors import InputError
from lzc_flows.files import write_atomically

_VERSION = 1
_ARRAYS = ("positions", "velocities", "cell", "cell_sum")
_EXTENDED_ARRAYS = ("thermostat", "strain_rate", "barostat")


@dataclass(frozen=True)
class RunIdentity:
    """What a checkpoint must fit: the starting structure, the protocol, the engine and the seed.

    `structure` is a checksum of species, masses, starting positions and cell, to the last bit.
    """

    structure: str
    protocol: str
    engine: str
    seed: int

    @classmethod
    def of(cls, crystal: Crystal, protocol: AimdProtocol, engine: EngineStamp, seed: int) -> RunIdentity:
        """Return the identity of a run."""
        digest = hashlib.sha256(" ".join(crystal.system.species).encode())
        for array in (crystal.system.masses_amu, crystal.positions, crystal.cell):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return cls(digest.hexdigest(), protocol.model_dump_json(), f"{engine.name}, {engine.version}", seed)

    @property
    def checksum(self) -> str:
        """Eight characters that differ for another run."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]


def write_checkpoint(path: Path, state: State, identity: RunIdentity) -> None:
    """Write a state, whole or not at all."""
    arrays = {name: getattr(state, name) for name in _ARRAYS}
    arrays |= {name: getattr(state.extended, name) for name in _EXTENDED_ARRAYS}
    arrays["energies"] = np.array([state.extended.kt_ev, state.extended.reservoir_ev])
    numbers = {"step": state.step, "halvings": state.halvings, "cell_count": state.cell_count}
    header = {"version": _VERSION, **asdict(identity), **numbers}
    stream = io.BytesIO()
    np.savez(stream, header=np.array(json.dumps(header)), **arrays)
    write_atomically(path, stream.getvalue())


def steps_done(path: Path) -> int:
    """Return the whole steps of the protocol's own time step that a checkpoint has done; 0 without one."""
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return 0
    return int(header["step"]) >> int(header["halvings"])


def read_checkpoint(path: Path, system: System, identity: RunIdentity) -> State:
    """Return the state that `write_checkpoint` wrote for this run, equal to the last bit.

    Raises
    ------
    InputError
        No such file, a damaged one, or one of another structure, protocol, engine or seed.
    """
    if not path.is_file():
        raise InputError(f"checkpoint {path}: no such file")
    try:
        # each array is checked against the checksum that the file holds of it
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        header = json.loads(str(content.pop("header")))
        version = header["version"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"checkpoint {path}: damaged ({' '.join(str(error).split())})") from None
    if version != _VERSION:
        raise InputError(f"checkpoint {path}: its format is {version}; {_VERSION} is allowed")
    for name, value in asdict(identity).items():
        if header.get(name) != value:
            raise InputError(f"checkpoint {path}: of another {name}; one of this run is allowed")
    kt_ev, reservoir_ev = content["energies"].tolist()
    extended = Extended(**{name: content[name] for name in _EXTENDED_ARRAYS}, kt_ev=kt_ev, reservoir_ev=reservoir_ev)
    return State(
        system=system,
        extended=extended,
        seed=identity.seed,
        **{name: content[name] for name in _ARRAYS},
        **{name: header[name] for name in ("step", "halvings", "cell_count")},
    )
