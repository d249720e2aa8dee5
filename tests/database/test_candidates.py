from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jobflow import Job, run_locally
from pymatgen.core import Composition

from lzc_flows.crystal.cost import cost_usd_per_kg
from lzc_flows.crystal.host import ideal_host
from lzc_flows.database import candidates as candidates_module
from lzc_flows.database.candidates import CandidateBuilder, build_candidates
from lzc_flows.database.queries import candidates
from lzc_flows.database.stores import BUILDS, BUILT, CANDIDATES, PLAN, TASKS, Database
from lzc_flows.database.table import ranking_table
from lzc_flows.documents.base import Correction, EngineStamp
from lzc_flows.documents.bvse import Barriers, BvseDoc
from lzc_flows.documents.candidate import CandidateDoc, PlannedCandidate
from lzc_flows.documents.neb import HopDoc, HopNetworkDoc, MoveDoc, SurroundingsDoc
from lzc_flows.documents.protocols import BvseProtocol, HopProtocol, NebProtocol
from lzc_flows.documents.ranking import RankingDoc
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign
from lzc_flows.jobs.bvse import BVSEMaker
from lzc_flows.jobs.rank import rank_campaign, ranked_table
from lzc_flows.ranking.spec import RankingSpec

KEY = "undoped_1x1x1_0123456789"


def planned(key: str = KEY, **changes: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("cation", "cation_element", "cation_site", "anion", "anion_element", "anion_site"))
    counts = {"cation_count": 0, "anion_count": 0, "extra_mobile": 0, "arrangements": "1"}
    names = {"host": "lzc", "cation_axis": "pristine", "column": "undoped", "formula": "Li6Zr3Cl18"}
    stages = {"order": f"order_{key}", "relax": f"relax_{key}", "bvse": key}
    fixed = {"key": key, "stage_keys": stages, "campaigns": ["tiny"], "supercell": (1, 1, 1)}
    plan = {**fixed, **nothing, **counts, **names, **changes}
    return PlannedCandidate(**plan).model_dump(mode="json")


def bvse(barriers: tuple[float, float, float]) -> BvseDoc:
    first, second, third = barriers
    along = {"barrier_a": first, "barrier_b": second, "barrier_c": third, "barrier_ab": second}
    found = {"barrier_1d": first, "barrier_2d": second, "barrier_3d": third, **along}
    return BvseDoc(
        **found,
        from_component_minimum=Barriers(**found),
        minimum_ev=-4.0,
        grid=(3, 3, 3),
        bottlenecks={},
        sites=1,
        protocol=BvseProtocol(),
    )


def store_bvse(
    database: Database,
    barriers: tuple[float, float, float],
    uuid: str = "u",
    index: int = 1,
    minute: int = 0,
    key: str = KEY,
) -> None:
    """Write a task document as jobflow does when a job ends."""
    ended = datetime(2026, 1, 1) + timedelta(minutes=minute)
    with database.job_store() as job_store:
        job_store.update(
            {
                "uuid": uuid,
                "index": index,
                "output": bvse(barriers),
                "completed_at": ended.isoformat(),
                "metadata": {"key": key, "stage": "bvse"},
            }
        )


def only_summary(database: Database) -> dict[str, Any]:
    build_candidates(database)
    (summary,) = candidates(database, "tiny")
    CandidateDoc(**summary)
    return summary


def number_built(database: Database) -> int:
    builder = CandidateBuilder(database)
    builder.connect()
    items = list(builder.get_items())
    for store in (*builder.sources, *builder.targets):
        store.close()
    return len(items)


@pytest.fixture
def plan(database: Database) -> Database:
    database.collection(PLAN).insert_one(planned())
    return database


def test_a_planned_candidate_without_results_has_its_cost_and_nothing_else(plan: Database) -> None:
    summary = only_summary(plan)
    assert summary["cost_usd_per_kg"] == pytest.approx(8.68, rel=1e-3, abs=0)  # Supplementary Table 11
    assert summary["stages"] == {}
    assert [summary[name] for name in ("barrier_1d", "energy_per_atom_ev", "ordered_by")] == [None, None, None]


def test_the_summary_takes_its_numbers_from_the_jobs_documents(
    plan: Database, tiny: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    campaign = Campaign(parse_campaign(tiny(), where="c.yaml", folder=tmp_path))
    undoped = campaign.candidates[0]
    plan.collection(PLAN).insert_one(planned(undoped.key, stage_keys=undoped.stage_keys))
    (order,) = campaign.first_jobs([undoped])
    protocol = BvseProtocol(resolution_angstrom=0.8, cutoff_angstrom=6.0)
    second: Job = BVSEMaker(protocol=protocol).make(order.output.structure)
    second.update_metadata({"key": undoped.stage_keys["bvse"], "stage": "bvse"})
    run_locally([order, second], store=plan.job_store(), root_dir=tmp_path, log=False, raise_immediately=True)
    build_candidates(plan)
    summary = next(entry for entry in candidates(plan, "tiny") if entry["key"] == undoped.key)
    output = plan.collection(TASKS).find_one({"uuid": second.uuid})["output"]
    assert {name: summary[name] for name in ("barrier_1d", "barrier_2d", "barrier_3d")} == {
        name: output[name] for name in ("barrier_1d", "barrier_2d", "barrier_3d")
    }
    assert 0 < summary["barrier_1d"] <= summary["barrier_2d"] <= summary["barrier_3d"] < math.inf
    assert summary["ordered_by"] == "electrostatics"  # one orbit: nothing else to decide by
    assert summary["order_exhaustive"] is True
    assert summary["anions_at_dopant"] == 0
    assert {stage: record["uuid"] for stage, record in summary["stages"].items()} == {
        "order": order.uuid,
        "bvse": second.uuid,
    }


def network(barriers: dict[str, float], statuses: dict[str, int]) -> HopNetworkDoc:
    """Of the built-in host, its hops with nothing but a status."""
    structure = ideal_host().structure
    around = SurroundingsDoc(
        dopant_distances_angstrom={}, anions_in_bottleneck={"Cl": 3}, dopant_anions=0, dopant_shell="none"
    )
    hops = [
        HopDoc(
            id=f"vacancy-{number}",
            mechanism="vacancy",
            labels=["6h", "6h"],
            vacancy=None,
            moves=[MoveDoc(site=0, to=1, translation=(0, 0, 0))],
            ways_A=[3.5],
            direction=[1.0, 0.0, 0.0],
            direction_word="ab",
            multiplicity=6,
            charge_e=-1.0,
            surroundings=around,
            status=status,
        )
        for number, status in enumerate(status for status, count in statuses.items() for _ in range(count))
    ]
    return HopNetworkDoc(
        structure=structure,
        symmetry="P-3m1",
        sites={"6h": 6},
        hops=hops,
        carriers=[],
        barriers_eV=barriers,
        statuses=statuses,
        evaluations=1,
        wall_s=1.0,
        charge_note="ignored",
        engine=EngineStamp(name="nep", version="nep89"),
        hop_protocol=HopProtocol(),
        protocol=NebProtocol(),
    )


def test_barriers_of_hops_are_in_the_summary_with_how_many_were_found(plan: Database) -> None:
    """No percolation is +inf; hops without a path are counted."""
    stages = {"order": "o", "relax": "r", "bvse": "b", "cineb": "hops"}
    plan.collection(PLAN).update_one({"key": KEY}, {"$set": {"stage_keys": stages}})
    assert [only_summary(plan)[name] for name in ("neb_barrier_c", "hops", "hops_converged")] == [None, None, None]
    barriers = {"1d": 0.3, "2d": 0.5, "3d": math.inf, "a": 0.5, "b": 0.5, "c": 0.3, "ab": 0.5}
    document = network(barriers, {"converged": 3, "end left its site": 2})
    with plan.job_store() as job_store:
        job_store.update(
            {
                "uuid": "n",
                "index": 1,
                "output": document,
                "completed_at": datetime(2026, 1, 1).isoformat(),
                "metadata": {"key": "hops", "stage": "cineb"},
            }
        )
    summary = only_summary(plan)
    assert {name: summary[f"neb_barrier_{name}"] for name in barriers} == barriers
    assert (summary["hops"], summary["hops_converged"]) == (5, 3)
    assert summary["engines"] == {"cineb": "nep (nep89)"}
    assert summary["stages"]["cineb"]["uuid"] == "n"
    table = ranking_table(plan, "tiny").set_index("key")
    assert (table.loc[KEY, "neb_barrier_c"], table.loc[KEY, "neb_barrier_3d"]) == (0.3, math.inf)


def store_output(database: Database, stage: str, output: Any, uuid: str) -> None:
    """Write a task document of the stage's own key, as jobflow does when a job ends."""
    with database.job_store() as job_store:
        job_store.update(
            {
                "uuid": uuid,
                "index": 1,
                "output": output,
                "completed_at": datetime(2026, 1, 1).isoformat(),
                "metadata": {"key": f"{stage}_{KEY}", "stage": stage},
            }
        )


def mended(handler: str, errors: list[str], actions: list[str]) -> dict[str, Any]:
    return Correction(handler=handler, errors=errors, actions=actions).model_dump()


def test_corrections_of_every_stage_are_in_the_summary_and_can_be_asked_for(plan: Database) -> None:
    stages = ("relax", "bvse", "cineb", "a_stage_of_later")
    keys = {stage: f"{stage}_{KEY}" for stage in stages}
    plan.collection(PLAN).update_one({"key": KEY}, {"$set": {"stage_keys": keys}})
    assert only_summary(plan)["corrections"] == []
    slow = mended("VaspErrorHandler", ["zbrent"], ["INCAR: ALGO = Normal", "CONTCAR copied to POSCAR"])
    noted = mended("StopInTimeHandler", ["the time of the batch job is nearly over"], [])
    relaxed = {"energy_per_atom_ev": -3.0, "max_force_ev_per_angstrom": 0.01, "volume_change": 0.02}
    store_output(plan, "relax", {**relaxed, "corrections": [slow, noted]}, "r")
    store_output(plan, "bvse", bvse((0.1, 0.2, 0.3)), "b")  # a document without any
    names = ("1d", "2d", "3d", "a", "b", "c", "ab")
    hops = network(dict.fromkeys(names, 0.3), {"converged": 1})
    bent = Correction(handler="FailedHandler", errors=["path-1"], actions=["4 times the steps"])
    store_output(plan, "cineb", hops.model_copy(update={"corrections": [bent]}), "n")
    store_output(plan, "a_stage_of_later", {"corrections": [slow]}, "l")
    summary = only_summary(plan)
    assert summary["corrections"] == [
        "relax: VaspErrorHandler: INCAR: ALGO = Normal",
        "relax: VaspErrorHandler: CONTCAR copied to POSCAR",
        "relax: StopInTimeHandler: the time of the batch job is nearly over",
        "cineb: FailedHandler: 4 times the steps",
        "a_stage_of_later: VaspErrorHandler: INCAR: ALGO = Normal",
        "a_stage_of_later: VaspErrorHandler: CONTCAR copied to POSCAR",
    ]
    assert summary["relax_corrections"] == 2
    found = {
        where: len(candidates(plan, "tiny", where)) for where in ("corrections~algo = normal", "corrections~Damped")
    }
    assert found == {"corrections~algo = normal": 1, "corrections~Damped": 0}


def test_a_summary_of_an_older_version_is_built_again(plan: Database) -> None:
    """One that lacks a field, and says itself what it was built from."""
    whole = only_summary(plan)
    older = {"$set": {"built_from": ["fields:0", "campaign:tiny"]}, "$unset": {"corrections": True}}
    plan.collection(CANDIDATES).update_one({"key": KEY}, older)
    plan.collection(BUILDS).update_one({}, {"$set": {"form": "0"}})
    assert number_built(plan) == 1
    assert only_summary(plan) == whole
    assert number_built(plan) == 0


def test_hops_of_which_none_converged_are_none_converged(plan: Database) -> None:
    plan.collection(PLAN).update_one({"key": KEY}, {"$set": {"stage_keys": {"cineb": "hops"}}})
    names = ("1d", "2d", "3d", "a", "b", "c", "ab")
    with plan.job_store() as job_store:
        job_store.update(
            {
                "uuid": "n",
                "index": 1,
                "output": network(dict.fromkeys(names, math.inf), {"end unconverged": 4}),
                "completed_at": datetime(2026, 1, 1).isoformat(),
                "metadata": {"key": "hops", "stage": "cineb"},
            }
        )
    summary = only_summary(plan)
    assert (summary["hops"], summary["hops_converged"], summary["neb_barrier_1d"]) == (4, 0, math.inf)


def test_a_second_build_without_news_writes_nothing(plan: Database) -> None:
    store_bvse(plan, (0.1, 0.2, 0.3))
    assert number_built(plan) == 1
    build_candidates(plan)
    before = list(plan.collection(CANDIDATES).find())
    assert number_built(plan) == 0
    build_candidates(plan)
    assert list(plan.collection(CANDIDATES).find()) == before


def test_only_what_has_news_is_built(plan: Database) -> None:
    plan.collection(PLAN).insert_many([planned(f"other{number}") for number in range(3)])
    build_candidates(plan)
    store_bvse(plan, (0.1, 0.2, 0.3), key="other1")
    assert number_built(plan) == 1
    build_candidates(plan)
    assert [entry["key"] for entry in candidates(plan, "tiny", "barrier_1d=0.1")] == ["other1"]


def test_the_newest_document_wins_whatever_the_order_of_writing(plan: Database) -> None:
    store_bvse(plan, (0.1, 0.2, 0.3), uuid="second", minute=5)
    assert only_summary(plan)["barrier_1d"] == 0.1
    store_bvse(plan, (0.7, 0.8, 0.9), uuid="first", minute=1)
    assert only_summary(plan)["barrier_1d"] == 0.1
    store_bvse(plan, (0.4, 0.5, 0.6), uuid="third", minute=9)
    summary = only_summary(plan)
    assert summary["barrier_1d"] == 0.4
    assert summary["stages"]["bvse"]["uuid"] == "third"
    store_bvse(plan, (0.5, 0.5, 0.6), uuid="third", index=2, minute=9)
    assert only_summary(plan)["barrier_1d"] == 0.5


def test_a_job_that_ran_again_under_the_same_uuid_is_seen(plan: Database) -> None:
    store_bvse(plan, (0.1, 0.2, 0.3))
    assert only_summary(plan)["barrier_1d"] == 0.1
    store_bvse(plan, (0.4, 0.5, 0.6), minute=1)
    assert plan.collection(TASKS).count_documents({}) == 1
    assert only_summary(plan)["barrier_1d"] == 0.4


def test_a_change_of_the_campaigns_is_seen(plan: Database) -> None:
    build_candidates(plan)
    plan.collection(PLAN).update_one({"key": KEY}, {"$set": {"campaigns": ["other"]}, "$unset": {BUILT: True}})
    build_candidates(plan)
    assert candidates(plan, "tiny") == []
    assert [entry["key"] for entry in candidates(plan, "other")] == [KEY]


def test_documents_of_other_jobs_are_left_alone(plan: Database) -> None:
    plan.collection(TASKS).insert_one({"uuid": "x", "index": 1, "metadata": {"stage": "rank"}, "output": {}})
    store_bvse(plan, (0.1, 0.2, 0.3), key="nobody_planned_this")
    assert only_summary(plan)["barrier_1d"] is None


def test_an_element_without_price_has_no_cost_and_no_score(plan: Database) -> None:
    """No source has a price of astatine."""
    plan.collection(PLAN).insert_one(planned("At", formula="Li6Zr3Cl17At1", cation_axis="Zr4+", column="1a ×1"))
    for key in (KEY, "At"):
        store_bvse(plan, (0.1, 0.2, 0.3), uuid=key, key=key)
    build_candidates(plan)
    assert [entry["key"] for entry in candidates(plan, "tiny", "cost_usd_per_kg=none")] == ["At"]
    rows = {row["key"]: row for row in rank_campaign(plan, "tiny", RankingSpec()).rows}
    assert rows["At"]["performance"] == 1.0
    assert rows["At"]["performance_cost"] is None
    assert rows["At"]["missing"] == "cost_usd_per_kg"
    assert rows[KEY]["missing"] == ""


def test_no_percolation_survives_the_way_through_the_database(plan: Database) -> None:
    """From the job's document to summary, table, ranking document and back: +inf stays +inf, missing stays missing."""
    plan.collection(PLAN).insert_many([planned("blocked", column="a"), planned("missing", column="b")])
    store_bvse(plan, (0.1, 0.2, 0.3))
    store_bvse(plan, (0.2, math.inf, math.inf), uuid="v", key="blocked")
    build_candidates(plan)
    table = ranking_table(plan, "tiny").set_index("key")
    assert table.loc["blocked", "barrier_3d"] == math.inf
    assert math.isnan(table.loc["missing", "barrier_3d"])

    document = rank_campaign(plan, "tiny", RankingSpec())
    with plan.job_store() as job_store:
        job_store.update({"uuid": "r", "index": 1, "output": document, "metadata": {"stage": "rank"}})
    stored = plan.collection(TASKS).find_one({"uuid": "r"})["output"]
    assert RankingDoc.from_stored(stored) == document
    ranked = ranked_table(RankingDoc.from_stored(stored)).set_index("key")
    assert ranked.loc["blocked", "barrier_3d"] == math.inf
    assert ranked.loc["blocked", "barrier_3d_normalised"] == 0.0
    assert ranked.loc["missing", ["barrier_1d", "barrier_1d_normalised", "performance"]].isna().all()
    assert ranked.loc["missing", "missing"] == "barrier_1d;barrier_3d"
    assert list(ranked.index) == [KEY, "blocked", "missing"]


def test_the_builder_closes_its_connections_when_a_document_is_broken(
    plan: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_bvse(plan, (0.1, 0.2, 0.3))
    plan.collection(TASKS).update_one({"uuid": "u"}, {"$unset": {"output.barrier_1d": True}})
    made = []

    class Seen(CandidateBuilder):
        def __init__(self, database: Database) -> None:
            super().__init__(database)
            made.append(self)

    monkeypatch.setattr(candidates_module, "CandidateBuilder", Seen)
    with pytest.raises(KeyError, match="barrier_1d"):
        build_candidates(plan)
    assert [store._coll for store in (*made[0].sources, *made[0].targets)] == [None, None, None]


def test_costs_are_of_the_whole_formula(plan: Database) -> None:
    formula = "Li7Zr2Ti1Cl17F1"
    plan.collection(PLAN).update_one({"key": KEY}, {"$set": {"formula": formula}})
    assert only_summary(plan)["cost_usd_per_kg"] == cost_usd_per_kg(Composition(formula))
