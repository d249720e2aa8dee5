from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lzc_flows.documents.aimd_protocol import named_protocol
from lzc_flows.documents.base import EngineStamp
from lzc_flows.dynamics.checkpoint import RunIdentity, read_checkpoint, write_checkpoint
from lzc_flows.dynamics.forces import System
from lzc_flows.dynamics.state import Crystal, State
from lzc_flows.errors import InputError

STAMP = EngineStamp(name="nep", version="calorine 4.1")
PROTOCOL = named_protocol("lzc-short")


@pytest.fixture
def state(warm: Callable[..., State]) -> State:
    state = warm()
    state.step, state.halvings, state.cell_count = 123_457, 2, 17
    state.extended.reservoir_ev = -1 / 3
    state.cell_sum = np.random.default_rng(0).normal(size=(3, 3))
    return state


@pytest.fixture
def identity(argon: Callable[..., Crystal]) -> RunIdentity:
    return RunIdentity.of(argon(), PROTOCOL, STAMP, 0)


def test_what_is_read_is_what_was_written_to_the_last_bit(state: State, identity: RunIdentity, tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoint.npz"
    write_checkpoint(path, state, identity)
    found = read_checkpoint(path, state.system, identity)
    for one, other in ((state, found), (state.extended, found.extended)):
        for name, value in vars(one).items():
            if name not in ("system", "extended"):
                assert np.array(value).tobytes() == np.array(getattr(other, name)).tobytes(), name
    assert found.system is state.system
    assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint.npz"]


def test_each_part_of_the_identity_counts(state: State, argon: Callable[..., Crystal], tmp_path: Path) -> None:
    crystal = argon()
    write_checkpoint(tmp_path / "c.npz", state, RunIdentity.of(crystal, PROTOCOL, STAMP, 0))
    heavy = System(crystal.system.species, crystal.system.masses_amu + 1e-9)
    longer = PROTOCOL.model_copy(update={"thermostat_fs": 51.0})
    others = {
        "structure": [
            (replace(crystal, positions=crystal.positions + 1e-12), PROTOCOL, STAMP, 0),
            (replace(crystal, cell=crystal.cell * 1.0000001), PROTOCOL, STAMP, 0),
            (replace(crystal, system=heavy), PROTOCOL, STAMP, 0),
            (argon(3), PROTOCOL, STAMP, 0),
        ],
        "protocol": [(crystal, longer, STAMP, 0)],
        "engine": [(crystal, PROTOCOL, EngineStamp(name="nep", version="calorine 4.2"), 0)],
        "seed": [(crystal, PROTOCOL, STAMP, 1)],
    }
    for part, runs in others.items():
        for run in runs:
            with pytest.raises(InputError) as error:
                read_checkpoint(tmp_path / "c.npz", state.system, RunIdentity.of(*run))
            assert str(error.value) == f"checkpoint {tmp_path / 'c.npz'}: of another {part}; one of this run is allowed"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_whole(
    data: st.DataObject, state: State, identity: RunIdentity, tmp_path: Path
) -> None:
    """A cut anywhere is seen; so is a flipped bit, unless it is one that no reader looks at."""
    path = tmp_path / "checkpoint.npz"
    write_checkpoint(path, state, identity)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:place])
    else:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << data.draw(st.integers(0, 7))]) + whole[place + 1 :])
    found, line = read_or_line(path, state.system, identity)
    if found is None:
        assert line.startswith(f"checkpoint {path}: ")
        assert "\n" not in line
    else:
        assert len(path.read_bytes()) == len(whole)
        for name in ("positions", "velocities", "cell"):
            assert (getattr(found, name) == getattr(state, name)).all()
        assert (found.step, found.halvings) == (state.step, state.halvings)


def read_or_line(path: Path, system: System, identity: RunIdentity) -> tuple[State | None, str]:
    try:
        return read_checkpoint(path, system, identity), ""
    except InputError as error:
        return None, str(error)


def test_a_missing_file_is_named(state: State, identity: RunIdentity, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing.npz: no such file$"):
        read_checkpoint(tmp_path / "nothing.npz", state.system, identity)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"\x93NUMPY\x01\x00"])
def test_another_file_is_refused_in_one_line(
    content: bytes, state: State, identity: RunIdentity, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_checkpoint(path, state.system, identity)
    assert str(error.value).startswith(f"checkpoint {path}: damaged (")
    assert "\n" not in str(error.value)
