from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.dft import LZC, LZC_AIMD, LZRC
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import STAGES, CampaignSpec, load_campaign, parse_campaign

NEP = EngineSpec(name="nep")

# every key that a campaign file may have, with a value
WHOLE: dict[str, Any] = CampaignSpec(
    name="whole",
    host=HostSpec(name="lzc"),
    grid={"supercell": [2, 2, 1], "cations": ["Ti3+"]},
    stages={
        "stability": {},
        "aimd": {"top": 3},
        "arrhenius": {"top": 2},
        "cineb": {"top": 2},
        "electronic": {"top": 1},
    },
).model_dump(mode="json")
FREE = {("ranking", "performance"), ("host", "labels"), ("host", "oxidation_states"), ("host", "vacant")}
"""Mappings whose keys the user chooses."""


def key_paths(content: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in content.items():
        yield (*above, key)
        if isinstance(value, dict) and (*above, key) not in FREE:
            yield from key_paths(value, (*above, key))


PATHS = list(key_paths(WHOLE))


def changed(path: tuple[str, ...], value: Any, key: str | None = None) -> dict[str, Any]:
    """The whole campaign with one value changed, or one key respelt."""
    content = copy.deepcopy(WHOLE)
    inner = content
    for part in path[:-1]:
        inner = inner[part]
    if key is not None:
        inner[key] = inner.pop(path[-1])
    else:
        inner[path[-1]] = value
    return content


def refusal(content: dict[str, Any]) -> str:
    """The one line with which a campaign is refused, before anything of it runs."""
    with pytest.raises(InputError) as caught:
        _ = Campaign(parse_campaign(content, where="c.yaml", folder=Path())).cells
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("campaign ")
    return line


def test_every_level_is_there() -> None:
    assert {path[0] for path in PATHS} == {"name", "description", "host", "grid", "stages", "ranking"}
    assert {path[1] for path in PATHS if path[0] == "stages" and len(path) > 1} == set(STAGES)
    assert ("stages", "order", "protocol", "shortlist") in PATHS
    assert parse_campaign(WHOLE, where="c.yaml", folder=Path()).name == "whole"


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_a_misspelt_key_is_refused_with_the_nearest_one(path: tuple[str, ...]) -> None:
    key = path[-1]
    for wrong in (key[:-1], key + "s", key[0] + key):
        line = refusal(changed(path, None, key=wrong))
        assert f"{'.'.join((*path[:-1], wrong))}: unknown key; did you mean {key}? allowed are " in line


@given(path=st.sampled_from(PATHS), letters=st.text("abcxyz_", min_size=1, max_size=12))
def test_no_key_is_ignored(path: tuple[str, ...], letters: str) -> None:
    content = copy.deepcopy(WHOLE)
    inner = content
    for part in path[:-1]:
        inner = inner[part]
    inner[f"q{letters}"] = 1
    assert f"q{letters}: unknown key; " in refusal(content)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("name",), "Has Blanks", "'Has Blanks'"),
        (("name",), "../up", "'../up'"),
        (("host",), "lzd", "host 'lzd': allowed are lzc, "),
        (("host",), {"name": "mine", "cif": "none.cif"}, "no such CIF: none.cif"),
        (("grid", "supercell"), [1, 1, 0], "three positive integers"),
        (("grid", "supercell"), [1, 1], "grid.supercell"),
        (("grid", "supercell"), "2x2x1", "grid.supercell"),
        (("grid", "cations"), "Ti3+", "grid.cations"),
        (("grid", "cations"), ["Xx3+"], "'Xx3+'"),
        (("grid", "cations"), ["Ti"], "'Ti': an element with its charge is allowed"),
        (("grid", "cations"), ["Ti7+"], "Ti is known in the oxidation states "),
        (("grid", "cations"), ["F-"], "cations are allowed"),
        (("grid", "anions"), ["Ti3+"], "anions are allowed"),
        (("grid", "cation_sites"), ["9z"], "'9z'"),
        (("grid", "cation_counts"), [-1], "0 and above"),
        (("grid", "undoped"), "perhaps", "'perhaps'"),
        (("stages", "order", "engine"), "siesta", "'chgnet', 'nep', 'vasp' or 'cp2k'"),
        (("stages", "relax", "engine"), "NEP", "'chgnet', 'nep', 'vasp' or 'cp2k'"),
        (("stages", "relax", "engine"), {"name": "nep", "dft": "lzc"}, "engine 'nep': has no electrons"),
        (("stages", "relax", "engine"), {"name": "vasp", "dft": "lzz"}, "dft 'lzz': allowed are lzc, lzc-aimd, lzrc"),
        (("stages", "order", "protocol", "shortlist"), 0, "greater than or equal to 1"),
        (("stages", "order", "protocol", "shortlist"), 1.5, "stages.order.protocol.shortlist"),
        (("stages", "relax", "protocol", "fmax_ev_per_angstrom"), 0, "greater than 0"),
        (("stages", "relax", "protocol", "fmax_ev_per_angstrom"), "low", "'low'"),
        (("stages", "relax", "protocol", "fmax_ev_per_angstrom"), float("inf"), "finite number"),
        (("stages", "relax", "protocol", "optimizer"), "Newton", "'FIRE', 'LBFGS' or 'BFGS'"),
        (("stages", "bvse", "protocol", "convention"), "mine", "'mine': allowed are bvlain, softbv"),
        (("stages", "bvse", "protocol", "mobile"), "Li", "'Li': an element with its charge"),
        (("ranking", "performance"), {"barrier_4d": 1}, "'barrier_4d': allowed are barrier_1d, barrier_2d, barrier_3d"),
        (("ranking", "performance"), {"barrier_1d": -1}, "ranking.performance.barrier_1d"),
        (("ranking", "performance"), {}, "ranking.performance"),
        (("ranking", "cost_weight"), 1.1, "less than or equal to 1"),
        (("ranking", "normalisation"), "z-score", "'min-max', 'rank' or 'desirability'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(path: tuple[str, ...], value: Any, named: str) -> None:
    assert named in refusal(changed(path, value))


@pytest.mark.parametrize(
    ("grid", "named"),
    [
        ({"supercell": [1, 1, 1], "cations": ["Ti3+"], "cation_sites": ["1a"], "cation_counts": [2]}, "above 1"),
        ({"supercell": [1, 1, 1], "anions": ["F-"], "anion_counts": [19]}, "18 such sites"),
        # 10 O for Cl want 10 extra Li, and the cell has 9 vacant octahedra
        ({"supercell": [1, 1, 1], "anions": ["O2-"], "anion_counts": [10]}, "-10 cannot be compensated by Li+"),
        ({"supercell": [1, 1, 1], "undoped": False}, "its grid is empty"),
        ({"supercell": [1, 1, 1], "cations": ["Ti3+"], "cation_sites": ["1a+6i"]}, "they hold different ions"),
    ],
)
def test_contents_that_do_not_fit_the_cell_are_refused(grid: dict[str, Any], named: str) -> None:
    assert named in refusal({"name": "unfit", "host": "lzc", "grid": grid})


@pytest.mark.parametrize("host", ["lzc-rietveld", "lzc-10tf-rietveld"])
def test_a_partially_occupied_host_has_no_grid(host: str) -> None:
    assert "partially occupied" in refusal(changed(("host",), host))


@pytest.mark.parametrize("key", ["name", "host", "grid"])
def test_what_is_missing_is_named(key: str) -> None:
    content = {name: value for name, value in WHOLE.items() if name != key}
    assert refusal(content) == f"campaign c.yaml: {key}: Field required"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"name: [1,\n  host: {", "not YAML"),
        (b"name: \xff\xfe", "not YAML"),
        (b"name: a\nhost: lzc\nname: b", "key 'name' stands twice"),
        (b"name: a\ngrid: {cations: [Ti3+], cations: [Al3+]}", "key 'cations' stands twice"),
        (b"", "a mapping with name, host and grid is allowed"),
        (b"- name: x", "a mapping with name, host and grid is allowed"),
        (b"1: x\nname: x\nhost: lzc\ngrid: {supercell: [1, 1, 1]}", "1: Keys should be strings"),
    ],
)
def test_a_file_that_holds_no_campaign(tmp_path: Path, text: bytes, named: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(text)
    with pytest.raises(InputError) as caught:
        load_campaign(path)
    assert str(caught.value).startswith(f"campaign {path}: ")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputError, match=rf"^campaign {path}: no such file$"):
            load_campaign(path)


def test_a_hosts_cif_is_looked_up_beside_the_file_and_travels_as_text(
    tmp_path: Path,
    tiny: Callable[[], dict[str, Any]],
    own_host: Callable[[float], dict[str, Any]],
    campaign_file: Callable[[dict[str, Any]], Path],
) -> None:
    host = own_host(0.0)
    (tmp_path / "mine.cif").write_text(host["cif"])
    content = tiny() | {"host": host | {"cif": "mine.cif"}}
    spec = load_campaign(campaign_file(content))
    assert spec.host.cif == host["cif"]


def test_an_engine_with_electrons_treats_them_as_its_stage_does() -> None:
    content = changed(("stages", "relax", "engine"), "vasp")
    content["stages"]["aimd"]["engine"] = "cp2k"
    content["stages"]["cineb"] = {"top": 1, "engine": {"name": "vasp", "dft": "lzrc"}}
    stages = parse_campaign(content, where="c.yaml", folder=Path()).stages
    assert stages.aimd is not None
    assert stages.cineb is not None
    assert [stage.engine.dft for stage in (stages.order, stages.relax, stages.aimd, stages.cineb)] == [
        None,
        LZC,
        LZC_AIMD,
        LZRC,
    ]


def test_molecular_dynamics_must_end_at_one_temperature() -> None:
    ramp = {"ensemble": "nvt", "temperature": [100, 900], "ps": 2, "time_step_fs": 2}
    line = refusal(changed(("stages", "aimd", "protocol"), {"segments": [ramp]}))
    assert "stages.aimd.protocol: its last segment, which is analysed, must be at one temperature" in line


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        ({"top": 0}, "stages.cineb.top: Input should be greater than or equal to 1"),
        ({}, "stages.cineb.top: Field required"),  # so that nobody runs all hops of a whole grid unawares
        ({"top": 1, "sites": "mine"}, "stages.cineb.sites: Input should be 'host' or 'bvse'"),
        ({"top": 1, "engine": "siesta"}, "stages.cineb.engine"),
        ({"top": 1, "protocol": {"images": 4}}, "stages.cineb.protocol.images: an odd number of at least 1 is allowed"),
        ({"top": 1, "protocol": {"images": 0}}, "stages.cineb.protocol.images: an odd number of at least 1 is allowed"),
        ({"top": 1, "protocol": {"split_ev": 0}}, "stages.cineb.protocol.split_ev: Input should be greater than 0"),
        ({"top": 1, "hops": {"mechanisms": []}}, "stages.cineb.hops.mechanisms"),
        ({"top": 1, "hops": {"mechanisms": ["exchange"]}}, "'vacancy', 'interstitial', 'interstitialcy' or 'frenkel'"),
        ({"top": 1, "hops": {"supercell": [1, 1, 0]}}, "stages.cineb.hops.supercell.2: Input should be greater than 0"),
        ({"top": 1, "hops": {"temperatures_k": [-5]}}, "stages.cineb.hops.temperatures_k.0: Input should be greater"),
        ({"top": 1, "hops": {"mobil": "Li"}}, "stages.cineb.hops.mobil: unknown key; did you mean mobile? allowed are"),
    ],
)
def test_bad_hops_are_named(stage: dict[str, Any], named: str) -> None:
    assert named in refusal(changed(("stages", "cineb"), stage))


def test_a_gate_may_be_open_to_all() -> None:
    spec = parse_campaign(changed(("stages", "cineb"), {"top": None}), where="c.yaml", folder=Path())
    assert spec.stages.cineb is not None
    assert (spec.stages.cineb.top, spec.stages.cineb.sites) == (None, "host")


def test_hop_barriers_are_criteria_of_their_stage() -> None:
    content = changed(("ranking", "performance"), {"neb_barrier_c": 1.0, "barrier_3d": 0.5})
    assert parse_campaign(content, where="c.yaml", folder=Path()).ranking.performance["neb_barrier_c"] == 1.0
    content["stages"] |= {"cineb": None, "electronic": None}
    assert "criterion 'neb_barrier_c' is of stage 'cineb', which stages lack" in refusal(content)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "flows").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_campaigns_that_people_copy_are_whole(path: Path) -> None:
    campaign = Campaign(load_campaign(path))
    assert campaign.spec.name == path.stem
    assert campaign.cells


def test_the_finalists_stand_beside_the_undoped_host() -> None:
    campaign = Campaign(load_campaign(Path(__file__).parents[2] / "flows" / "barriers.yaml"))
    stage = campaign.spec.stages.cineb
    assert stage is not None
    assert stage.top is None
    combinations = [cell.combination for cell in campaign.cells]
    assert [None if one.cation is None else one.cation.ion for one in combinations] == [None, "Al3+", "Ti3+", "P5+"]
    assert {one.anion.ion for one in combinations if one.anion is not None} == {"F-"}


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        ({"top": 0}, "stages.aimd.top: Input should be greater than or equal to 1"),
        ({}, "stages.aimd.top: Field required"),
        (
            {"top": 1, "protocol": "lzc-long"},
            "protocol 'lzc-long': a temperature of 600 to 1100 K is allowed (none given)",
        ),
        ({"top": 1, "protocol": "x"}, "protocol 'x': allowed are lzc-short, lzc-long, lzrc-npt"),
    ],
)
def test_bad_molecular_dynamics_is_named(stage: dict[str, Any], named: str) -> None:
    assert named in refusal(changed(("stages", "aimd"), stage))


# ---- the electronic stage ----


def staged(**stages: Any) -> dict[str, Any]:
    return {"name": "c", "host": "lzc", "grid": {"supercell": [1, 1, 1]}, "stages": stages}


def test_the_electronic_stage_follows_cineb() -> None:
    with pytest.raises(InputError, match=r"^campaign c.yaml: stages: electronic: follows cineb, which is not there$"):
        parse_campaign(staged(electronic={"top": 1}), where="c.yaml", folder=Path())
    spec = parse_campaign(staged(cineb={"top": 2}, electronic={"top": 1}), where="c.yaml", folder=Path())
    assert spec.stages.names == ("order", "relax", "bvse", "cineb", "electronic")
    assert spec.stages.electronic is not None
    assert spec.stages.electronic.engine == EngineSpec(name="vasp", dft=LZC)
    assert spec.stages.electronic.protocol.points == ("initial", "saddle")


@pytest.mark.parametrize("engine", ["nep", "chgnet", "cp2k"])
def test_only_vasp_has_densities(engine: str) -> None:
    content = staged(cineb={"top": 2}, electronic={"engine": engine, "top": 1})
    with pytest.raises(
        InputError, match=rf"stages.electronic.engine: '{engine}' gives no densities .* vasp is allowed"
    ):
        parse_campaign(content, where="c.yaml", folder=Path())


@pytest.mark.parametrize(
    ("protocol", "named"),
    [
        ({"points": []}, r"stages.electronic.protocol.points: "),
        ({"points": ["middle"]}, r"stages.electronic.protocol.points"),
        ({"target": "diagonal"}, r"stages.electronic.protocol.target: "),
        ({"grid_angstrom": 0}, r"stages.electronic.protocol.grid_angstrom: "),
    ],
)
def test_what_the_electronic_stage_cannot_look_at(protocol: dict[str, Any], named: str) -> None:
    content = staged(cineb={"top": 2}, electronic={"protocol": protocol, "top": 1})
    with pytest.raises(InputError, match=named) as error:
        parse_campaign(content, where="c.yaml", folder=Path())
    assert "\n" not in str(error.value)


# ---- stability, and several temperatures ----


def test_a_protocol_runs_at_each_temperature_of_an_arrhenius_stage() -> None:
    stage = {"top": 3, "protocol": "lzc-short", "temperatures_k": [1000, 800, 600]}
    spec = parse_campaign(changed(("stages", "arrhenius"), stage), where="c.yaml", folder=Path())
    assert spec.stages.arrhenius is not None
    runs = [spec.stages.arrhenius.protocol.at(kelvin) for kelvin in spec.stages.arrhenius.temperatures_k]
    ends = [[(segment.start_k, segment.end_k, segment.ps) for segment in run.segments] for run in runs]
    assert ends == [[(100, kelvin, 2), (kelvin, kelvin, 20)] for kelvin in (1000, 800, 600)]
    default = parse_campaign(changed(("stages", "arrhenius"), {"top": None}), where="c.yaml", folder=Path())
    assert default.stages.arrhenius is not None
    assert default.stages.arrhenius.protocol.ps == 262
    assert default.stages.arrhenius.temperatures_k == (1100, 1000, 900, 800)


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        ({"top": 1, "temperatures_k": [900, 800]}, "at least 3 different temperatures"),
        ({"top": 1, "temperatures_k": [900, 800, 900]}, "at least 3 different temperatures"),
        ({"top": 1, "temperatures_k": [900, 800, -1]}, "temperatures_k"),
        ({"top": 1, "protocol": "lzc-shortest"}, "lzc-short, lzc-long"),
        ({}, "top"),
    ],
)
def test_an_arrhenius_stage_that_cannot_run_is_refused(stage: dict[str, Any], named: str) -> None:
    assert named in refusal(changed(("stages", "arrhenius"), stage))


def test_the_stability_stage_has_no_settings_of_its_own() -> None:
    spec = parse_campaign(changed(("stages", "stability"), {}), where="c.yaml", folder=Path())
    assert "stability" in spec.stages.names
    assert "engine" in refusal(changed(("stages", "stability"), {"engine": "nep"}))
