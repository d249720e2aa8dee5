from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobflow import OnMissing

from lzc_flows.errors import InputError
from lzc_flows.flows import candidate as candidate_module
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign

Content = dict[str, Any]


@pytest.fixture
def content(tiny: Callable[[], Content]) -> Content:
    content = tiny()
    content["stages"] |= {"aimd": {"top": 1}, "cineb": {"top": 1}}
    return content


def campaign(content: Content) -> Campaign:
    return Campaign(parse_campaign(content, where="c.yaml", folder=Path()))


def keys(content: Content) -> list[str]:
    return [candidate.key for candidate in campaign(content).candidates]


def test_keys_are_unique_readable_and_safe_as_names_of_files(content: Content) -> None:
    content["grid"] |= {
        "supercell": [2, 2, 1],
        "cations": ["Mg2+", "Al3+", "Ti3+", "Ti4+", "Hf4+", "P5+", "W6+"],
        "cation_sites": ["1a", "2d", "1a+2d"],
        "cation_counts": [1, 2],
        "anions": ["F-", "O2-"],
        "anion_counts": [1, 2, 3],
    }
    found = keys(content)
    assert len(found) == 7 * 3 * 2 * 2 * 3 + 1
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[A-Za-z0-9_+-]+_[0-9a-f]{10}", key) for key in found)
    assert any(key.startswith("Ti3-1a-x1_F1-6i-x3_2x2x1_") for key in found)


def test_keys_are_the_same_in_another_process(content: Content, tmp_path: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path; from lzc_flows.flows.candidate import Campaign\n"
        "from lzc_flows.flows.spec import parse_campaign\n"
        "spec = parse_campaign(json.loads(sys.argv[1]), where='c.yaml', folder=Path())\n"
        "print(*(candidate.key for candidate in Campaign(spec).candidates))"
    )
    # another order of the file's keys, and another seed of Python's hashes
    shuffled = json.dumps(dict(reversed(content.items())))
    done = subprocess.run(
        [sys.executable, "-c", code, shuffled],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "PYTHONHASHSEED": "4711"},
    )
    assert done.stdout.split() == keys(content)


def set_in(content: Content, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for part in above:
        content = content.setdefault(part, {})
    content[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("stages.order.engine", "chgnet"),
        ("stages.relax.engine", "chgnet"),
        ("stages.order.protocol.shortlist", 2),
        ("stages.order.protocol.fmax_ev_per_angstrom", 0.21),
        ("stages.order.protocol.max_steps", 99),
        ("stages.relax.protocol.fmax_ev_per_angstrom", 0.19),
        ("stages.relax.protocol.max_steps", 201),
        ("stages.relax.protocol.optimizer", "LBFGS"),
        ("stages.relax.protocol.relax_cell", False),
        ("stages.bvse.protocol.resolution_angstrom", 0.4),
        ("stages.bvse.protocol.cutoff_angstrom", 9.0),
        ("stages.bvse.protocol.convention", "bvlain"),
        ("stages.aimd.seed", 7),
        ("stages.aimd.protocol", {"segments": [{"ensemble": "nvt", "temperature": 900, "ps": 2, "time_step_fs": 2}]}),
        ("stages.cineb.engine", "chgnet"),
        ("stages.cineb.sites", "bvse"),
        ("stages.cineb.protocol.images", 7),
        ("stages.cineb.hops.mechanisms", ["vacancy"]),
        ("grid.supercell", [1, 1, 2]),
        ("host", "lzc-aimd"),
    ],
)
def test_what_changes_a_result_changes_every_key(content: Content, path: str, value: Any) -> None:
    before = keys(content)
    set_in(content, path, value)
    assert not set(before) & set(keys(content))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("grid.cations", ["Hf4+"]),
        ("grid.cation_sites", ["2d"]),
        ("grid.cation_counts", [0]),
        ("grid.anions", ["Br-"]),
        ("grid.anion_counts", [2]),
    ],
)
def test_another_combination_has_another_key_and_the_undoped_host_keeps_its_own(
    content: Content, path: str, value: Any
) -> None:
    before = keys(content)
    set_in(content, path, value)
    assert set(before) & set(keys(content)) == {before[0]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "another"),
        ("description", "words"),
        ("ranking.performance", {"barrier_2d": 3.0}),
        ("ranking.cost_weight", 0.1),
        ("ranking.normalisation", "rank"),
        ("grid.cation_sites", ["1a", "1a"]),
        # the values that they have by default, spelt out
        ("stages.relax.protocol.relax_cell", True),
        ("stages.bvse.protocol.convention", "softbv"),
        ("stages.aimd.top", 5),
        ("stages.cineb.top", None),
        ("stages.cineb.protocol.images", None),
        ("stages.cineb.hops.supercell", [1, 1, 1]),
        ("stages.aimd.protocol", "lzc-short"),
        ("host", {"name": "lzc", "mobile": "Li+"}),
    ],
)
def test_what_changes_no_result_changes_no_key(content: Content, path: str, value: Any) -> None:
    before = keys(content)
    set_in(content, path, value)
    assert keys(content) == before


def test_a_moved_atom_of_the_host_changes_every_key_and_the_hosts_name_none(
    content: Content, own_host: Callable[[float], dict[str, Any]]
) -> None:
    content["grid"] = {"supercell": [1, 1, 1], "cations": ["Hf4+"], "cation_sites": ["1a"]}
    before = keys(content | {"host": own_host(0.0)})
    assert keys(content | {"host": own_host(0.0) | {"name": "renamed"}}) == before
    assert not set(before) & set(keys(content | {"host": own_host(1e-4)}))


def test_another_version_of_the_results_changes_every_key(content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(content)
    monkeypatch.setattr(candidate_module, "RESULTS_VERSION", "another")
    assert not set(before) & set(keys(content))


def test_an_engine_that_is_not_installed_is_named(
    content: Content, tmp_path: Path, set_lzc: Callable[..., Any]
) -> None:
    with (
        set_lzc(LZC_MODELS_DIR=str(tmp_path)),
        pytest.raises(InputError, match=r"engine 'nep': its model file is missing.* run `lzc models install nep89`"),
    ):
        keys(content)


def test_jobs_carry_key_and_stage_and_refuse_missing_references(content: Content) -> None:
    mine = campaign(content)
    first = list(mine.first_jobs(mine.candidates))
    candidate = mine.candidates[0]
    stages = mine.spec.stages.names
    jobs = [first[0], *(mine.next_job(candidate, stage, "0-1-2") for stage in stages[1:])]
    assert len(first) == len(mine.candidates)
    for job, stage in zip(jobs, stages, strict=True):
        key = candidate.stage_keys[stage]
        assert job.metadata["key"] == key
        assert job.metadata["stage"] == stage
        assert job.metadata["campaign"] == "tiny"
        assert job.name == f"{stage} {key}"
        assert job.config.on_missing_references == OnMissing.ERROR
    for job in jobs[1:]:
        assert [reference.uuid for reference in job.input_references] == ["0-1-2"]
    content["stages"]["cineb"] = None
    with pytest.raises(ValueError, match="'cineb'"):
        campaign(content).next_job(candidate, "cineb", "0-1-2")


def test_hops_are_between_the_hosts_sites_or_those_of_the_landscape(content: Content) -> None:
    hops, protocol = {"mechanisms": ["frenkel"], "supercell": [1, 1, 2]}, {"images": 5}
    for sites, name in (("host", "lzc"), ("bvse", None)):
        content["stages"]["cineb"] = {"top": 1, "sites": sites, "hops": hops, "protocol": protocol, "engine": "chgnet"}
        mine = campaign(content)
        maker = mine.next_job(mine.candidates[0], "cineb", "0-1-2").maker
        assert (maker.host.name if maker.host else None) == name
        assert (maker.engine.name, maker.hops.supercell, maker.protocol.images) == ("chgnet", (1, 1, 2), 5)


def test_a_stages_key_changes_with_what_its_result_follows_from_only(content: Content) -> None:
    before = campaign(content).candidates[1].stage_keys
    set_in(content, "stages.bvse.protocol.resolution_angstrom", 0.4)
    after = campaign(content).candidates[1].stage_keys
    assert {stage for stage in before if before[stage] != after[stage]} == {"bvse"}
    set_in(content, "stages.aimd.seed", 2)
    assert {stage for stage in before if after[stage] != campaign(content).candidates[1].stage_keys[stage]} == {"aimd"}
    for path, value in (("hops.mechanisms", ["vacancy"]), ("protocol.images", 7), ("sites", "bvse")):
        now = campaign(content).candidates[1].stage_keys
        set_in(content, f"stages.cineb.{path}", value)
        assert {stage for stage in before if now[stage] != campaign(content).candidates[1].stage_keys[stage]} == {
            "cineb"
        }
    set_in(content, "stages.relax.protocol.max_steps", 201)
    last = campaign(content).candidates[1].stage_keys
    assert {stage for stage in before if after[stage] != last[stage]} == {"relax", "bvse", "aimd", "cineb"}
    assert len(set(last.values())) == len(before)


def test_a_stage_more_leaves_the_results_of_the_others(content: Content) -> None:
    with_aimd = campaign(content)
    del content["stages"]["aimd"]
    without = campaign(content)
    for one, other in zip(with_aimd.candidates, without.candidates, strict=True):
        assert one.key != other.key
        assert {**other.stage_keys, "aimd": one.stage_keys["aimd"]} == one.stage_keys


# ---- engines with electrons, and the electronic stage ----


@pytest.fixture
def with_electrons(content: Content, vasp_stand_in: Any) -> Content:
    content["stages"]["electronic"] = {"top": 1}
    return content


def stage_keys(content: Content) -> dict[str, str]:
    return campaign(content).candidates[0].stage_keys


@pytest.mark.parametrize(
    ("path", "value", "changes"),
    [
        ("electronic.protocol.target", "c", {"electronic"}),
        ("electronic.protocol.points", ["initial", "saddle", "final"], {"electronic"}),
        ("electronic.engine", {"name": "vasp", "dft": "lzrc"}, {"electronic"}),
        ("electronic.top", None, set()),
        ("electronic.engine", {"name": "vasp", "dft": "lzc"}, set()),
        ("cineb.protocol.images", 5, {"cineb", "electronic"}),
        ("cineb.engine", "vasp", {"cineb", "electronic"}),
        ("relax.engine", "vasp", {"relax", "bvse", "aimd", "cineb", "electronic"}),
        ("bvse.protocol.resolution_angstrom", 0.4, {"bvse"}),
    ],
)
def test_what_changes_the_electronic_result_changes_its_key(
    with_electrons: Content, path: str, value: Any, changes: set[str]
) -> None:
    before = stage_keys(with_electrons)
    set_in(with_electrons, f"stages.{path}", value)
    after = stage_keys(with_electrons)
    assert {stage for stage in before if before[stage] != after[stage]} == changes


def test_numbers_of_the_dft_and_a_stand_in_are_in_the_key(with_electrons: Content, vasp_stand_in: Any) -> None:
    keys = [stage_keys(with_electrons)["electronic"]]
    set_in(with_electrons, "stages.electronic.engine", {"name": "vasp", "dft": {"cutoff_ev": 400}})
    keys.append(stage_keys(with_electrons)["electronic"])
    vasp_stand_in.command(sys.executable, "-c", "pass")  # as if it were VASP
    keys.append(stage_keys(with_electrons)["electronic"])
    assert len(set(keys)) == 3


@pytest.mark.parametrize(("sites", "name"), [("host", "lzc"), ("bvse", None)])
def test_the_electronic_job_reads_the_whole_network(with_electrons: Content, sites: str, name: str | None) -> None:
    set_in(with_electrons, "stages.cineb.sites", sites)
    set_in(with_electrons, "stages.electronic.protocol", {"hop": "vacancy-1"})
    mine = campaign(with_electrons)
    candidate = mine.candidates[0]
    job = mine.next_job(candidate, "electronic", "0-1-2")
    (reference,) = job.input_references
    assert (reference.uuid, reference.attributes) == ("0-1-2", ())
    assert (job.maker.host.name if job.maker.host else None) == name
    assert (job.maker.engine.name, job.maker.protocol.hop) == ("vasp", "vacancy-1")
    assert (job.metadata["stage"], job.metadata["key"]) == ("electronic", candidate.stage_keys["electronic"])
    del with_electrons["stages"]["electronic"]
    with pytest.raises(ValueError, match="'electronic'"):
        campaign(with_electrons).next_job(candidate, "electronic", "0-1-2")


# ---- stability, and several temperatures ----


def test_stability_follows_from_the_relaxation_and_the_packaged_phases_alone(
    content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    content["stages"] |= {"stability": {}, "arrhenius": {"top": 1}}
    before = campaign(content).candidates[1].stage_keys
    monkeypatch.setattr("lzc_flows.crystal.phases.phases_checksum", lambda: "other")
    after = campaign(content).candidates[1].stage_keys
    assert {stage for stage in before if before[stage] != after[stage]} == {"stability"}
    set_in(content, "stages.relax.engine", "chgnet")
    last = campaign(content).candidates[1].stage_keys
    assert {stage for stage in before if after[stage] != last[stage]} == set(before) - {"order"}


def test_the_stability_job_is_of_the_relaxations_engine_and_sees_the_store(content: Content) -> None:
    content["stages"]["stability"] = {}
    mine = campaign(content)
    job = mine.next_job(mine.candidates[0], "stability", "0-1-2")
    relax = mine.spec.stages.relax
    assert (job.maker.engine, job.maker.protocol, job.maker.host) == (relax.engine, relax.protocol, mine.spec.host)
    assert job.config.expose_store
    assert job.metadata["key"] == mine.candidates[0].stage_keys["stability"]


def test_the_arrhenius_job_has_the_stages_settings(content: Content) -> None:
    content["stages"]["arrhenius"] = {"top": 1, "seed": 5, "protocol": "lzc-short", "temperatures_k": [900, 800, 700]}
    mine = campaign(content)
    maker = mine.next_job(mine.candidates[0], "arrhenius", "0-1-2").maker
    assert (maker.engine.name, maker.seed, maker.temperatures_k) == ("nep", 5, (900, 800, 700))
    assert maker.protocol.ps == 22
