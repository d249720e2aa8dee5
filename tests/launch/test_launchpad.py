from __future__ import annotations

import multiprocessing
from collections.abc import Callable

from fireworks import LaunchPad
from pymongo import monitoring

from lzc_flows.database.stores import LOCKS, Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.launch.launchpad import last_launch, open_launchpad, stage_states
from lzc_flows.launch.submit import submit

FORK = multiprocessing.get_context("fork")


def test_what_is_queued_outlives_opening_again(database: Database, campaign: Campaign) -> None:
    submit(campaign, database, open_launchpad(database))
    again = open_launchpad(database)
    assert again.fireworks.count_documents({"state": "READY"}) == 2
    assert database.collection(LOCKS).count_documents({}) == 0


def draw_ids(found: multiprocessing.Queue) -> None:
    launchpad = open_launchpad(connect())
    launches = [launchpad.get_new_launch_id() for _ in range(100)]
    found.put((launches, [launchpad.get_new_fw_id(quantity=2) for _ in range(50)]))


def test_no_two_processes_get_the_same_id(database: Database, fork: Callable) -> None:
    open_launchpad(database)
    found = FORK.Queue()
    for _ in range(4):
        fork(draw_ids, found)
    drawn = [found.get(timeout=60) for _ in range(4)]
    assert sorted(number for launches, _ in drawn for number in launches) == list(range(1, 401))
    assert sorted(number for _, firsts in drawn for number in firsts) == list(range(1, 401, 2))


def open_and_submit(campaign: Campaign) -> None:
    database = connect()
    submit(campaign, database, open_launchpad(database))


def test_many_first_openers_of_an_empty_database_clear_nothing(
    database: Database, campaign: Campaign, fork: Callable
) -> None:
    children = [fork(open_and_submit, campaign) for _ in range(4)]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    launchpad = open_launchpad(database)
    assert sorted(launchpad.get_fw_ids({"state": "READY"})) == [1, 2]
    assert sorted(launchpad.get_wf_ids()) == [1, 2]


def open_while_another_submits(campaign: Campaign) -> None:
    """See an empty LaunchPad, and before it is made ready another process has queued its jobs."""
    other = connect()

    class Interleave(monitoring.CommandListener):
        looked = False

        def started(self, event: monitoring.CommandStartedEvent) -> None: ...

        def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            if event.command_name == "find" and not Interleave.looked:
                Interleave.looked = True
                submit(campaign, other, open_launchpad(other))

    monitoring.register(Interleave())
    open_launchpad(connect())
    assert Interleave.looked


def test_what_is_queued_while_one_opens_is_not_cleared(database: Database, campaign: Campaign, fork: Callable) -> None:
    child = fork(open_while_another_submits, campaign)
    child.join(60)
    assert child.exitcode == 0
    assert open_launchpad(database).fireworks.count_documents({"state": "READY"}) == 2


def test_states_are_those_of_the_asked_candidates(database: Database, campaign: Campaign, launchpad: LaunchPad) -> None:
    submit(campaign, database, launchpad)
    keys = [candidate.stage_keys["order"] for candidate in campaign.candidates]
    (state,) = stage_states(launchpad, {keys[1]})
    assert (state.key, state.stage, state.state) == (keys[1], "order", "READY")
    assert len(list(stage_states(launchpad, set(keys)))) == 2
    assert list(stage_states(launchpad, set())) == []


def test_the_last_launch_is_the_newest(launchpad: LaunchPad) -> None:
    launchpad.launches.insert_many([{"launch_id": number, "n": number} for number in (3, 7, 5)])
    assert last_launch(launchpad, [3, 7, 5])["n"] == 7
    assert last_launch(launchpad, [3, 5])["n"] == 5
    assert last_launch(launchpad, []) is None


def test_states_are_found_by_indexes(launchpad: LaunchPad) -> None:
    indexed = {entry["key"][0][0] for entry in launchpad.fireworks.index_information().values()}
    assert {"fw_id", "state", "spec.key"} <= indexed
