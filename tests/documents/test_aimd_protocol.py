from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monty.json import MontyDecoder, MontyEncoder

from lzc_flows.documents.aimd_protocol import (
    NAMES,
    AimdProtocol,
    Segment,
    hottest_protocol,
    load_protocol,
    named_protocol,
)
from lzc_flows.errors import InputError

ISSUE = """
segments: [{ensemble: nvt, temperature: [100, 900], ps: 2, time_step_fs: 2},
           {ensemble: nvt, temperature: 900, ps: 20, time_step_fs: 2}]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "protocol.yaml"
    path.write_text(text)
    return path


def test_a_yaml_file_is_read(tmp_path: Path) -> None:
    protocol = load_protocol(written(tmp_path, ISSUE))
    assert protocol.segments == (
        Segment(ensemble="nvt", temperature=(100, 900), ps=2, time_step_fs=2),
        Segment(ensemble="nvt", temperature=900, ps=20, time_step_fs=2),
    )
    assert [segment.steps for segment in protocol.segments] == [1000, 10_000]
    assert [(segment.start_k, segment.end_k) for segment in protocol.segments] == [(100, 900), (900, 900)]
    assert protocol.ps == 22
    assert load_protocol(str(tmp_path / "protocol.yaml")) == protocol


def test_the_protocols_of_the_sources() -> None:
    """Section 1.8 of the first source, "Conductivity simulation" of the second."""
    short = load_protocol("lzc-short")
    assert (
        short
        == named_protocol("lzc-short", 1100)
        == AimdProtocol(
            segments=(
                Segment(ensemble="nvt", temperature=(100, 1100), ps=2, time_step_fs=2),
                Segment(ensemble="nvt", temperature=1100, ps=20, time_step_fs=2),
            )
        )
    )
    long = named_protocol("lzc-long", 700)
    assert [segment.steps for segment in long.segments] == [1000, 130_000]
    assert (long.segments[0].temperature, long.segments[1].temperature) == ((100, 700), 700)
    npt, nvt = named_protocol("lzrc-npt").segments
    assert (npt.ensemble, npt.ps, npt.temperature, npt.time_step_fs) == ("npt", 10, 300, 1)
    assert (nvt.ensemble, nvt.ps, nvt.temperature, nvt.time_step_fs) == ("nvt", 100, 300, 1)
    assert named_protocol("lzrc-npt", 450).segments[1].temperature == 450


@pytest.mark.parametrize(
    ("name", "temperature", "line"),
    [
        ("lzc-short", 900, "protocol 'lzc-short': a temperature of 1100 K is allowed (given: 900)"),
        ("lzc-long", None, "protocol 'lzc-long': a temperature of 600 to 1100 K is allowed (none given)"),
        ("lzc-long", 500, "protocol 'lzc-long': a temperature of 600 to 1100 K is allowed (given: 500)"),
        ("lzrc-npt", float("nan"), "protocol 'lzrc-npt': a temperature of 300 to 450 K is allowed (given: nan)"),
        ("lzc-middle", None, "protocol 'lzc-middle': allowed are lzc-short, lzc-long, lzrc-npt, or a YAML file"),
        ("missing.yaml", None, "protocol missing.yaml: no such file"),
    ],
)
def test_names_and_temperatures_that_are_refused(name: str, temperature: float | None, line: str) -> None:
    with pytest.raises(InputError) as error:
        load_protocol(name, temperature)
    assert str(error.value) == line


def segment(**changes: Any) -> str:
    content = {"ensemble": "nvt", "temperature": 300, "ps": 2, "time_step_fs": 2} | changes
    return "{" + ", ".join(f"{key}: {value}" for key, value in content.items() if value is not None) + "}"


REFUSED = {
    "segments: []": "segments: at least one segment is allowed (given: [])",
    "": "a mapping with segments is allowed",
    "[1]": "a mapping with segments is allowed",
    "segments: [": "not YAML (",
    f"segments: [{segment(time_step_fs=0)}]": "segments.0.time_step_fs: Input should be greater than 0 (given: 0)",
    f"segments: [{segment(time_step_fs='.nan')}]": "segments.0.time_step_fs: Input should be ",
    f"segments: [{segment(ps=-2)}]": "segments.0.ps: Input should be greater than 0 (given: -2)",
    f"segments: [{segment(temperature=0)}]": "segments.0.temperature: temperatures above 0 K are allowed (given: 0)",
    f"segments: [{segment(temperature='[0, 900]')}]": (
        "segments.0.temperature: temperatures above 0 K are allowed (given: [0, 900])"
    ),
    f"segments: [{segment(temperature='[900, -1]')}]": (
        "segments.0.temperature: temperatures above 0 K are allowed (given: [900, -1])"
    ),
    f"segments: [{segment(temperature='.inf')}]": (
        "segments.0.temperature: temperatures above 0 K are allowed (given: inf)"
    ),
    f"segments: [{segment(temperature='[900]')}]": (
        "segments.0.temperature: a number or [start, end] is allowed, in K (given: [900])"
    ),
    f"segments: [{segment(temperature='hot')}]": (
        "segments.0.temperature: a number or [start, end] is allowed, in K (given: 'hot')"
    ),
    f"segments: [{segment(ensemble='nvp')}]": (
        "segments.0.ensemble: Input should be 'nve', 'nvt' or 'npt' (given: 'nvp')"
    ),
    f"segments: [{segment(ensemble='nve', temperature='[1, 2]')}]": (
        "segments.0: temperature: nve follows no ramp; one temperature is allowed"
    ),
    f"segments: [{segment(ps=0.003)}]": (
        "segments.0: ps: a whole number of time steps is allowed, and 0.003 ps is 1.5 steps of 2 fs"
    ),
    f"segments: [{segment()}, {segment(ps=0.03)}]": (
        "segments.1.ps: a whole number of frame intervals is allowed, and 0.03 ps is 1.5 of 20 fs"
    ),
    f"segments: [{segment(time_step_fs=8)}]": (
        "frame_interval_fs: a whole number of time steps is allowed, and 20 fs is 2.5 steps of segments.0"
    ),
    f"checkpoint_interval_fs: 30\nsegments: [{segment()}]": (
        "checkpoint_interval_fs: a whole number of frame intervals is allowed"
    ),
    f"segments: [{segment(temperature=None, temprature=300)}]": (
        "segments.0.temprature: unknown key; did you mean temperature? "
        "allowed are ensemble, temperature, ps, time_step_fs"
    ),
    f"segments: [{segment()}]\nthermostat: 3": "thermostat: unknown key; did you mean thermostat_fs? allowed",
    f"segments: [{segment()}]\nsegments: [{segment()}]": "not YAML (key 'segments' stands twice",
    f"segments: [{segment(ensemble=None)}]": "segments.0.ensemble: Field required",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_wrong_file_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as error:
        load_protocol(path)
    assert str(error.value).startswith(f"protocol {path}: {REFUSED[text]}")
    assert "\n" not in str(error.value)


def test_a_file_has_its_own_temperatures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its segments have their temperatures; no other is allowed$"):
        load_protocol(written(tmp_path, ISSUE), 900)


def test_lengths_that_are_not_exact_in_binary_are_whole() -> None:
    for ps, time_step, frame, steps in ((0.3, 0.1, 0.3, 3000), (260, 2, 20, 130_000), (0.7, 0.35, 0.7, 2000)):
        made = Segment(ensemble="nvt", temperature=300, ps=ps, time_step_fs=time_step)
        protocol = AimdProtocol(segments=(made,), frame_interval_fs=frame, checkpoint_interval_fs=10 * frame)
        assert protocol.segments[0].steps == steps


def test_a_protocol_travels_inside_jobs() -> None:
    protocol = named_protocol("lzc-long", 650)
    text = json.dumps(protocol, cls=MontyEncoder)
    assert json.loads(text, cls=MontyDecoder) == protocol
    assert AimdProtocol.model_validate_json(protocol.model_dump_json()) == protocol


def test_another_temperature_takes_the_place_of_that_of_the_end() -> None:
    cooler = named_protocol("lzc-long", 1100).at(800)
    assert cooler == named_protocol("lzc-long", 800)
    annealed = AimdProtocol(
        segments=(
            Segment(ensemble="npt", temperature=1200.0, ps=2, time_step_fs=2),
            Segment(ensemble="nvt", temperature=(1200.0, 900.0), ps=2, time_step_fs=2),
            Segment(ensemble="nvt", temperature=900.0, ps=2, time_step_fs=2),
        )
    )
    assert [segment.temperature for segment in annealed.at(700).segments] == [1200, (1200, 700), 700]


def test_the_hottest_protocol_of_a_source_has_its_highest_temperature() -> None:
    assert [hottest_protocol(name).segments[-1].end_k for name in NAMES] == [1100, 1100, 450]
    with pytest.raises(InputError, match="lzc-shorter"):
        hottest_protocol("lzc-shorter")
