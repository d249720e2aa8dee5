"""What the ranking of many candidates costs, with Monte Carlo and without, step by step.

Run ``python bench/ranking.py`` (a minute), ``--candidates 2000`` for fewer, ``--json FILE`` for the numbers. The table
is made up: three barriers, a conductivity with its interval, a cost, uncertainties as the criteria state them, 2,000
samples. Processor seconds are beside those on the clock: other work on the machine lengthens the latter most.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from lzc_flows.documents.finite import finite
from lzc_flows.jobs.rank import fingerprint, ranked_table, ranking_document
from lzc_flows.ranking.assessment import assess
from lzc_flows.ranking.score import rank
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.ranking.tiers import rank_in_tiers
from lzc_flows.report.campaign import write_report

SPEC = RankingSpec(performance={"barrier_1d": 1, "barrier_3d": 1, "barrier_ab": 1, "sigma_mS_cm": 3})
ELEMENTS = ["Sc", "In", "Ti", "V", "Cr", "Fe", "Ga", "Al", "Lu", "Yb", "Tm", "Er", "Y", "Ho", "Gd", "Bi", "La"]

Seconds = dict[str, tuple[float, float]]


def candidates(number: int, share_of_dynamics: float) -> pd.DataFrame:
    """Return a table as the database gives it; some have molecular dynamics, the others barriers alone."""
    random = np.random.default_rng(1)
    ran = np.arange(number) < share_of_dynamics * number
    sigma = np.where(ran, random.lognormal(7, 0.5, number), np.nan)
    places = np.arange(number)
    return pd.DataFrame(
        {
            "key": [f"{ELEMENTS[place % 17]}3-2d-x1_F1-6i-x{place // 17}_2x2x1_{place:010d}" for place in places],
            "cation": [f"{ELEMENTS[place % 17]}3+" for place in places],
            "column": [f"2d ×1 · F 6i ×{place // 17}" for place in places],
            "barrier_1d": random.normal(0.41, 0.03, number),
            "barrier_3d": random.normal(0.44, 0.03, number),
            "barrier_ab": random.normal(0.43, 0.03, number),
            "sigma_mS_cm": sigma,
            "sigma_low_mS_cm": 0.9 * sigma,
            "sigma_high_mS_cm": 1.1 * sigma,
            "cost_usd_per_kg": random.lognormal(2.5, 0.5, number),
            "stability": ["stable" if one else None for one in ran],
            "done": np.where(ran, "order;relax;bvse;aimd", "order;relax;bvse"),
        }
    )


@contextmanager
def timed(seconds: Seconds, name: str) -> Iterator[None]:
    """Note the seconds on the clock and of the processor of what is done inside."""
    clock, processor = time.perf_counter(), time.process_time()
    yield
    seconds[name] = time.perf_counter() - clock, time.process_time() - processor


def measure(number: int) -> Seconds:
    """Return the seconds of each step."""
    seconds: Seconds = {}
    for words, share in (("all with dynamics", 1.0), ("half with dynamics", 0.5), ("20 with dynamics", 20 / number)):
        table = candidates(number, share)
        with timed(seconds, f"scores alone, {words}"):
            rank(table, SPEC)
        with timed(seconds, f"tiers, {words}"):
            rank_in_tiers(table, SPEC)
        with timed(seconds, f"tiers, Monte Carlo, front, sensitivity, {words}"):
            assess(table, SPEC)
    with timed(seconds, "(of the document: checksum)"):
        fingerprint(table, SPEC)
    with timed(seconds, "document with all of that"):
        document = ranking_document("bench", table, SPEC)
    with timed(seconds, "its JSON text"):
        json.dumps(finite(document.model_dump()), indent=2, ensure_ascii=False)
    with TemporaryDirectory() as folder, timed(seconds, "heatmap and CSV"):
        write_report(ranked_table(document), SPEC, "Campaign bench", Path(folder))
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    given = parser.parse_args()
    seconds = measure(given.candidates)
    load = os.getloadavg()[0]
    table = Table(title=f"{given.candidates} candidates, {SPEC.samples} samples, load {load:.1f}", title_justify="left")
    table.add_column("Step")
    for heading in ("clock / s", "processor / s"):
        table.add_column(heading, justify="right")
    for name, (clock, processor) in seconds.items():
        table.add_row(name, f"{clock:.2f}", f"{processor:.2f}")
    Console().print(table)
    print(f"largest memory {getrusage(RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if given.json:
        content = {"candidates": given.candidates, "samples": SPEC.samples, "load": load, "seconds": seconds}
        given.json.write_text(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()
