"""What campaigns of ten thousand candidates cost: submission, gates, status and queries on the embedded server.

Run ``python bench/scale.py`` (a few minutes), ``--candidates 2000`` for a smaller grid, ``--json FILE`` for the
numbers. The campaign is a real file with four stages (order, relax, bvse, aimd), submitted by the real commands to an
embedded server of its own in a temporary folder. No job runs: that all first stages ended is written into the database,
each with a crystal of 108 atoms, as jobs would leave it. Times are wall times; those of commands (``lzc ...``) hold the
start of Python and all imports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pymongo import UpdateOne
from rich.console import Console
from rich.table import Table

from lzc_flows.crystal.host import ideal_host
from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.queries import candidates
from lzc_flows.database.server import start_server, stop_server
from lzc_flows.database.stores import TASKS, Database, connect
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import load_campaign
from lzc_flows.launch.launchpad import open_launchpad
from lzc_flows.launch.status import campaign_status
from lzc_flows.launch.submit import CHUNK, advance

NAME = "scale"
ELEMENTS = {
    2: "Mg Zn Co Ni Fe Mn Cd Ca",
    3: "Sc In Ti V Cr Fe Ga Al Lu Yb Tm Er Y Ho Gd Bi La",
    4: "Hf Sn Ti Ce",
    5: "Nb Ta Sb",
}
CATIONS = [f"{element}{charge}+" for charge, elements in ELEMENTS.items() for element in elements.split()]
CATION_SITES = ("1a", "2d", "1a+2d")
ANIONS = ("F-", "Br-")
COMBINATIONS_AN_ANION = len(CATIONS) * len(CATION_SITES) * len(ANIONS)


@dataclass
class Timings:
    """Seconds of each step, in the order in which they were taken, and the targets that some have."""

    seconds: dict[str, float] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, at_most_s: float | None = None) -> Iterator[None]:
        """Time what is done inside."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        if at_most_s is not None:
            self.targets[name] = at_most_s
        print(f"{self.seconds[name]:8.2f} s  {name}", file=sys.stderr, flush=True)


def campaign_content(at_least: int) -> dict[str, Any]:
    """Return a campaign file of at least so many candidates, four stages each."""
    counts = -(-at_least // COMBINATIONS_AN_ANION)
    return {
        "name": NAME,
        "host": "lzc",
        "grid": {
            "supercell": [2, 2, 1],
            "cations": CATIONS,
            "cation_sites": list(CATION_SITES),
            "cation_counts": [1],
            "anions": list(ANIONS),
            "anion_sites": ["6i"],
            "anion_counts": list(range(1, counts + 1)),
        },
        "stages": {
            "order": {"engine": "nep"},
            "relax": {"engine": "nep"},
            "bvse": {},
            "aimd": {"engine": "nep", "protocol": "lzc-short", "top": 20},
        },
    }


def lzc(*arguments: str) -> Any:
    """Run a command as users do; return its document."""
    command = [str(Path(sys.executable).with_name("lzc")), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"lzc {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)


def end_first_stages(campaign: Campaign, database: Database) -> None:
    """Write what the order jobs would leave: their task documents; fireworks and workflows completed."""
    structure = ideal_host().supercell((2, 2, 1)).structure.as_dict()
    output = {
        "structure": structure,
        "decided_by": "engine",
        "exhaustive": True,
        "margin_ev": 0.1,
        "shortlist": [{"anions_at_dopant": 1}],
        "corrections": [],
    }
    launchpad = open_launchpad(database)
    now = datetime.now()
    for first in range(0, len(campaign.candidates), CHUNK):
        ended = (now + timedelta(milliseconds=first)).isoformat()
        database.collection(TASKS).insert_many(
            {
                "uuid": f"uuid-{candidate.key}",
                "index": 1,
                "output": output,
                "completed_at": ended,
                "metadata": {"key": candidate.stage_keys["order"], "stage": "order"},
            }
            for candidate in campaign.candidates[first : first + CHUNK]
        )
    launchpad.fireworks.update_many({"state": "READY"}, {"$set": {"state": "COMPLETED"}})
    for first in range(0, len(campaign.candidates), CHUNK):
        launchpad.workflows.bulk_write([_completed(fw_id) for fw_id in range(first + 1, first + CHUNK + 1)])


def _completed(fw_id: int) -> UpdateOne:
    """Let the workflow of one firework follow it."""
    return UpdateOne({"nodes": fw_id}, {"$set": {"state": "COMPLETED", f"fw_states.{fw_id}": "COMPLETED"}})


def measure(folder: Path, at_least: int) -> tuple[int, Timings]:
    """Return the number of candidates and the times."""
    timings = Timings()
    path = folder / "scale.yaml"
    path.write_text(yaml.safe_dump(campaign_content(at_least)))
    campaign = Campaign(load_campaign(path))
    with timings.step("grid and keys"):
        number = len(campaign.candidates)
    _submission(timings, path, number)
    _status_and_queries(timings, "first stage queued")
    database = connect()
    launchpad = open_launchpad(database)
    with timings.step("(results written by the bench)"):
        end_first_stages(campaign, database)
    with timings.step("summaries of all first stages built"):
        build_candidates(database)
    with timings.step("summaries, nothing new", 0.1):
        build_candidates(database)
    with timings.step("second stage queued: advance"):
        expect(advance(campaign, database, launchpad), number)
    with timings.step("second advance"):
        expect(advance(campaign, database, launchpad), 0)
    _status_and_queries(timings, "second stage queued")
    with timings.step("lzc advance, nothing new"):
        expect(lzc("advance", NAME)["queued"], 0)
    for words, action in _asked(database):
        action()
        with timings.step(f"function: {words}"):
            action()
    return number, timings


def _submission(timings: Timings, path: Path, number: int) -> None:
    with timings.step("lzc submit", 60.0):
        expect(lzc("submit", str(path))["queued"], number)
    with timings.step("second lzc submit", 15.0):
        expect(lzc("submit", str(path))["queued"], 0)


def _status_and_queries(timings: Timings, when: str) -> None:
    with timings.step(f"lzc status ({when})", 2.0):
        lzc("status", NAME)
    with timings.step(f"lzc query --where ({when})"):
        lzc("query", NAME, "--where", "cation=Ti3+, anion_count<3")
    with timings.step(f"lzc query of all ({when})"):
        lzc("query", NAME)


def _asked(database: Database) -> list[tuple[str, Callable[[], object]]]:
    launchpad = open_launchpad(database)
    return [
        ("status", lambda: campaign_status(database, launchpad, NAME)),
        ("query, some", lambda: candidates(database, NAME, "cation=Ti3+, anion_count<3")),
        ("query, all", lambda: candidates(database, NAME)),
    ]


def expect(found: int, wanted: int) -> None:
    """Stop where a command did something else than was to be measured."""
    if found != wanted:
        raise SystemExit(f"{found} where {wanted} were expected: this is not what was to be measured")


def show(number: int, timings: Timings) -> None:
    """Print the table."""
    table = Table(title=f"{number} candidates, 4 stages", title_justify="left")
    table.add_column("Step")
    for heading in ("s", "target / s"):
        table.add_column(heading, justify="right")
    for name, seconds in timings.seconds.items():
        target = timings.targets.get(name)
        table.add_row(name, f"{seconds:.2f}", "" if target is None else f"≤ {target:g}")
    Console().print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=10_000, help="at least so many")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="lzc-scale-") as folder:
        os.environ["LZC_CAMPAIGNS_DIR"] = folder
        start_server(Path(folder))
        try:
            number, timings = measure(Path(folder), given.candidates)
        finally:
            stop_server(Path(folder))
    show(number, timings)
    if given.json:
        given.json.write_text(json.dumps({"candidates": number, **asdict(timings)}, indent=2))


if __name__ == "__main__":
    main()
