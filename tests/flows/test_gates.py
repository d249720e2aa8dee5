from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.errors import InputError
from lzc_flows.flows.gates import passed_gates
from lzc_flows.flows.spec import CampaignSpec, parse_campaign

FREE = ("order", "relax", "bvse")


def spec_with(tiny: Callable[[], dict[str, Any]], **ranking: Any) -> CampaignSpec:
    content = tiny()
    content["stages"]["aimd"] = {"top": 2}
    content["ranking"] = {"performance": {"barrier_1d": 1.0, "barrier_3d": 1.0}} | ranking
    return parse_campaign(content, where="c.yaml", folder=Path())


def summary(key: str, barrier: float | None, done: tuple[str, ...] = FREE) -> dict[str, Any]:
    return {
        "key": key,
        "stage_keys": {stage: f"{stage}-{key}" for stage in (*FREE, "aimd")},
        "stages": {stage: {} for stage in done},
        "cation_axis": key,
        "column": "x",
        "barrier_1d": barrier,
        "barrier_3d": barrier,
        "cost_usd_per_kg": 8.0,
    }


SETTLED = [summary("a", 0.5), summary("b", 0.3), summary("c", 0.4), summary("d", 0.6)]


def test_the_best_pass_once_all_have_ended(tiny: Callable) -> None:
    passed = passed_gates(spec_with(tiny), SETTLED, {})
    assert passed["aimd"] == {"b", "c"}
    assert all(passed[stage] == set("abcd") for stage in FREE)


def test_none_passes_while_one_may_still_be_better(tiny: Callable) -> None:
    waiting = [*SETTLED, summary("e", None, done=("order",))]
    states = {"relax-e": "RUNNING"}
    assert passed_gates(spec_with(tiny), waiting, states)["aimd"] == set()


@pytest.mark.parametrize("stage", FREE)
def test_a_failed_candidate_holds_up_nobody_and_does_not_pass(tiny: Callable, stage: str) -> None:
    failed = summary("e", None, done=FREE[: FREE.index(stage)])
    passed = passed_gates(spec_with(tiny), [*SETTLED, failed], {f"{stage}-e": "FIZZLED"})
    assert passed["aimd"] == {"b", "c"}


def test_what_is_recovered_takes_part(tiny: Callable) -> None:
    assert passed_gates(spec_with(tiny), [*SETTLED, summary("e", 0.1)], {})["aimd"] == {"e", "b"}


def test_criteria_of_the_gated_stage_itself_do_not_count(tiny: Callable) -> None:
    spec = spec_with(tiny, performance={"barrier_1d": 1.0, "sigma_mS_cm": 3.0})
    assert passed_gates(spec, SETTLED, {})["aimd"] == {"b", "c"}
    only = spec_with(tiny, performance={"sigma_mS_cm": 1.0})
    assert passed_gates(only, SETTLED, {})["aimd"] == {"a", "b"}  # nothing known: by key


@given(st.lists(st.sampled_from([0.3, 0.4, 0.5]), min_size=1, max_size=8), st.randoms())
def test_ties_and_order_do_not_matter(barriers: list[float], random: Any) -> None:
    content = {
        "name": "t",
        "host": "lzc",
        "grid": {"supercell": [1, 1, 1]},
        "stages": {"aimd": {"top": 2}},
        "ranking": {"performance": {"barrier_1d": 1.0}},
    }
    spec = parse_campaign(content, where="c.yaml", folder=Path())
    summaries = [summary(f"k{number}", barrier) for number, barrier in enumerate(barriers)]
    shuffled = copy.deepcopy(summaries)
    random.shuffle(shuffled)
    expected = {entry["key"] for entry in sorted(summaries, key=lambda entry: (entry["barrier_1d"], entry["key"]))[:2]}
    assert passed_gates(spec, shuffled, {})["aimd"] == expected


def test_a_stage_with_an_open_gate_runs_for_all_and_counts(tiny: Callable) -> None:
    """Its barriers are known where the others open: it is a stage without a gate."""
    content = tiny()
    content["stages"] |= {"aimd": {"top": 2}, "cineb": {"top": None}}
    content["ranking"] = {"performance": {"barrier_1d": 1.0, "neb_barrier_c": 3.0}}
    spec = parse_campaign(content, where="c.yaml", folder=Path())
    free = (*FREE, "cineb")
    summaries = [
        {**summary(key, 0.4, done=free), "neb_barrier_c": barrier}
        for key, barrier in zip("abcd", (0.3, 0.9, 0.2, 0.5), strict=True)
    ]
    for entry in summaries:
        entry["stage_keys"]["cineb"] = f"cineb-{entry['key']}"
    passed = passed_gates(spec, summaries, {})
    assert passed["cineb"] == set("abcd")
    assert passed["aimd"] == {"a", "c"}
    del summaries[3]["stages"]["cineb"]
    assert passed_gates(spec, summaries, {"cineb-d": "RUNNING"})["aimd"] == set()
    assert passed_gates(spec, summaries, {"cineb-d": "FIZZLED"})["aimd"] == {"a", "c"}


def test_a_gated_stage_waits_as_molecular_dynamics_does(tiny: Callable) -> None:
    content = tiny()
    content["stages"]["cineb"] = {"top": 1}
    spec = parse_campaign(content, where="c.yaml", folder=Path())
    assert passed_gates(spec, SETTLED, {})["cineb"] == {"b"}
    waiting = [*SETTLED, summary("e", None, done=("order",))]
    assert passed_gates(spec, waiting, {"relax-e": "RUNNING"})["cineb"] == set()


def test_a_criterion_without_its_stage_is_refused(tiny: Callable) -> None:
    content = tiny()
    content["ranking"] = {"performance": {"sigma_mS_cm": 1.0}}
    with pytest.raises(InputError, match="criterion 'sigma_mS_cm' is of stage 'aimd', which stages lack"):
        parse_campaign(content, where="c.yaml", folder=Path())
