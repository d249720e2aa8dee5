from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fireworks import LaunchPad

from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.plans import campaign_document, planned_keys
from lzc_flows.database.stores import CANDIDATES, PLAN, Database, connect
from lzc_flows.database.table import ranking_table
from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign
from lzc_flows.launch.launchpad import open_launchpad, stage_states
from lzc_flows.launch.submit import advance, replace, submit

Tiny = Callable[[], dict[str, Any]]
CampaignOf = Callable[[dict[str, Any]], Campaign]


def fireworks_by_stage(launchpad: LaunchPad, campaign: Campaign) -> Counter[tuple[str, str]]:
    keys = {key for candidate in campaign.candidates for key in candidate.stage_keys.values()}
    return Counter((state.key, state.stage) for state in stage_states(launchpad, keys))


def once_each(campaign: Campaign) -> dict[tuple[str, str], int]:
    return {(candidate.stage_keys["order"], "order"): 1 for candidate in campaign.candidates}


def test_the_first_submit_queues_every_candidate_and_the_second_none(
    database: Database, campaign: Campaign, launchpad: LaunchPad
) -> None:
    first, second = (submit(campaign, database, launchpad) for _ in range(2))
    assert (first.candidates, first.queued, first.new, first.dropped) == (2, 2, 2, 0)
    assert (second.candidates, second.queued, second.new, second.dropped) == (2, 0, 0, 0)
    assert fireworks_by_stage(launchpad, campaign) == once_each(campaign)
    assert advance(campaign, database, launchpad) == 0


def test_what_was_submitted_is_in_the_database(database: Database, campaign: Campaign, launchpad: LaunchPad) -> None:
    submit(campaign, database, launchpad)
    plans = {plan["key"]: plan for plan in database.collection(PLAN).find({}, {"_id": False})}
    undoped, doped = (plans[candidate.key] for candidate in campaign.candidates)
    assert undoped["cation_axis"] == "pristine"
    assert [undoped["cation"], undoped["anion"], undoped["formula"]] == [None, None, "Li6Zr3Cl18"]
    assert doped["formula"] == "Li7Zr2Ti1Cl17F1"
    assert [doped[name] for name in ("cation", "cation_element", "cation_site", "cation_count")] == [
        "Ti3+",
        "Ti",
        "1a",
        1,
    ]
    assert [doped[name] for name in ("anion", "anion_element", "anion_site", "anion_count")] == ["F-", "F", "6i", 1]
    assert [doped[name] for name in ("cation_axis", "column", "extra_mobile")] == ["Ti3+", "1a ×1 · F 6i ×1", 1]
    # 1 Zr at 1a × 18 Cl × 9 vacant octahedra for the extra Li
    assert doped["arrangements"] == "162"
    stored = campaign_document(database, "tiny")["spec"]
    again = parse_campaign(stored, where="tiny", folder=None)
    assert again == campaign.spec
    assert [candidate.key for candidate in Campaign(again).candidates] == list(plans)


def test_a_campaign_that_softbv_cannot_do_writes_nothing(
    database: Database, launchpad: LaunchPad, tiny: Tiny, campaign_of: CampaignOf
) -> None:
    content = tiny()
    content["grid"]["anions"] = ["F-", "P3-"]
    before = sorted(database.collection(PLAN).database.list_collection_names())
    with pytest.raises(InputError, match=r"no softBV parameters in convention softbv for Li\+ with P3- \(morse; in 1 "):
        submit(campaign_of(content), database, launchpad)
    assert sorted(database.collection(PLAN).database.list_collection_names()) == before
    assert launchpad.get_fw_ids() == []


def test_a_doping_of_anions_alone_stands_in_the_row_of_the_hosts_cation(
    database: Database, launchpad: LaunchPad, tiny: Tiny, campaign_of: CampaignOf
) -> None:
    content = tiny()
    content["grid"] = {"supercell": [1, 1, 1], "anions": ["F-"], "undoped": False}
    submit(campaign_of(content), database, launchpad)
    (plan,) = database.collection(PLAN).find()
    assert (plan["cation_axis"], plan["column"]) == ("Zr4+", "F 6i ×1")


def submit_here(campaign: Campaign) -> None:
    database = connect()
    submit(campaign, database, open_launchpad(database))


def test_submits_at_the_same_time_queue_each_candidate_once(
    database: Database, launchpad: LaunchPad, tiny: Tiny, campaign_of: CampaignOf, fork: Callable
) -> None:
    content = tiny()
    content["grid"]["cations"] = ["Mg2+", "Al3+", "Ti3+", "Hf4+", "Nb5+"]
    # two files, that share all candidates but one
    one, other = campaign_of(content), campaign_of(content | {"name": "other"})
    children = [fork(submit_here, campaign) for campaign in (one, other, one, other)]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert fireworks_by_stage(launchpad, one) == once_each(one)
    assert planned_keys(database, "tiny") == planned_keys(database, "other")


def test_a_second_campaign_shares_candidates_and_adds_its_own(
    database: Database, campaign: Campaign, launchpad: LaunchPad, tiny: Tiny, campaign_of: CampaignOf
) -> None:
    submit(campaign, database, launchpad)
    content = tiny() | {"name": "wider"}
    content["grid"]["cations"] = ["Ti3+", "Hf4+"]
    wider = campaign_of(content)
    report = submit(wider, database, launchpad)
    assert (report.candidates, report.queued) == (3, 1)
    assert planned_keys(database, "tiny") < planned_keys(database, "wider")
    assert fireworks_by_stage(launchpad, wider) == once_each(wider)


def test_a_dropped_cation_leaves_the_campaign_but_not_the_database(
    database: Database, campaign: Campaign, launchpad: LaunchPad, tiny: Tiny, campaign_of: CampaignOf
) -> None:
    submit(campaign, database, launchpad)
    submit(campaign_of(tiny() | {"name": "other"}), database, launchpad)
    content = tiny()
    content["grid"]["cations"] = []
    content["grid"]["anions"] = []
    with pytest.raises(InputError) as caught:
        submit(campaign_of(content), database, launchpad)
    assert str(caught.value) == (
        f"campaign 'tiny': 1 of its candidates in the database, such as {campaign.candidates[1].key}, are not in this "
        "file: give it another name, or let them go with --replace (their results stay)"
    )
    assert planned_keys(database, "tiny") == planned_keys(database, "other")
    report = replace(campaign_of(content), database, launchpad)
    assert (report.candidates, report.queued, report.new, report.dropped) == (1, 0, 0, 1)
    undoped, doped = (candidate.key for candidate in campaign.candidates)
    assert planned_keys(database, "tiny") == set(campaign.candidates[0].stage_keys.values())
    assert list(ranking_table(database, "tiny")["key"]) == [undoped]
    assert set(ranking_table(database, "other")["key"]) == {undoped, doped}
    grown = submit(campaign, database, launchpad)
    assert (grown.candidates, grown.queued, grown.new, grown.dropped) == (2, 0, 1, 0)
    assert set(ranking_table(database, "tiny")["key"]) == {undoped, doped}


def test_advance_queues_nothing_for_candidates_that_its_file_does_not_hold(
    database: Database, campaign: Campaign, launchpad: LaunchPad, tiny: Tiny, campaign_of: CampaignOf
) -> None:
    """Else results of the new protocol would be stored under the key of the old one."""
    submit(campaign, database, launchpad)
    content = tiny()
    content["stages"]["order"]["protocol"]["max_steps"] = 7
    edited = campaign_of(content)
    assert advance(edited, database, launchpad) == 0
    assert fireworks_by_stage(launchpad, campaign) == once_each(campaign)
    assert fireworks_by_stage(launchpad, edited) == {}


# a first submit has about 60 commands: the LaunchPad's preparation, indexes, plan, summaries, queue
MOMENTS = sorted(random.Random(20).sample(range(1, 75), 14))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_submit_killed_at_any_moment_is_made_good_by_the_next(
    database: Database, campaign: Campaign, fork: Callable, die_at: Callable, moment: int
) -> None:
    child = fork(die_at, moment, submit_here, campaign)
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    launchpad = open_launchpad(database)
    report = submit(campaign, database, launchpad)
    assert report.queued in (0, 2)
    assert fireworks_by_stage(launchpad, campaign) == once_each(campaign)
    # each is whole: FireWorks reads it with its workflow
    for fw_id in launchpad.get_fw_ids():
        assert launchpad.get_wf_by_fw_id(fw_id).state == "READY"
    assert submit(campaign, database, launchpad).queued == 0
    build_candidates(database)
    assert database.collection(CANDIDATES).count_documents({"campaigns": "tiny"}) == 2
