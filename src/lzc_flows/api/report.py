"""What a report shows of a campaign, read from the database once."""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lzc_flows.api.stages import read_curves, read_output, read_structure, structures_of
from lzc_flows.api.table import read_candidates
from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.plans import campaign_document
from lzc_flows.database.stores import CANDIDATES, Database
from lzc_flows.errors import InputError
from lzc_flows.launch.queued import QueuedIn
from lzc_flows.launch.status import CampaignStatus, campaign_status
from lzc_flows.ranking.spec import SCORES
from lzc_flows.report.candidates import CampaignTable, assessed, best_rows
from lzc_flows.report.heatmap import TOP
from lzc_flows.report.page.comparison import OurConductivity
from lzc_flows.report.page.content import BEST, CandidateDetail, ReportContent, StageOrigin
from lzc_flows.report.words import name_of

PACKAGES = (
    *(
        "lzc-flows",
        "numpy",
        "scipy",
        "pandas",
        "pymatgen",
        "ase",
        "spglib",
        "jobflow",
        "FireWorks",
        "custodian",
        "atomate2",
    ),
    *("chgnet", "calorine", "mendeleev", "plotly"),
)
"""Packages whose versions a report tells; those that are not installed are left out."""


@dataclass(frozen=True)
class _Sigma:
    """A conductivity that summaries have: its fields with the ends of its interval, and the words for it."""

    fields: tuple[str, str, str]
    words: str


_SIGMAS = (
    _Sigma(("sigma_mS_cm", "sigma_low_mS_cm", "sigma_high_mS_cm"), "molecular dynamics at {temperature_k:g} K"),
    _Sigma(("sigma_300k_mS_cm", "sigma_300k_low_mS_cm", "sigma_300k_high_mS_cm"), "continued to 300 K by a line"),
)

STATES = {"COMPLETED": "done", "FIZZLED": "failed", "DEFUSED": "given up", "TO DO": "not queued yet"}
"""FireWorks' states in words; the others are as they are, in small letters."""


def read_report(database: Database, campaign: str, best: int = BEST) -> ReportContent:
    """Return all that a report of a campaign shows; summaries are brought up to date first.

    Parameters
    ----------
    database
        Where the campaign is.
    campaign
        Its name.
    best
        How many candidates are shown in detail: the best five by either score, then the best by performance and cost.

    Raises
    ------
    InputError
        No such campaign, or one without candidates.
    """
    spec = campaign_document(database, campaign)["spec"]
    build_candidates(database)
    candidates = read_candidates(database, campaign, spec)
    if candidates.empty:
        raise InputError(f"campaign {campaign!r}: no candidates in the database; submit it first")
    table = assessed(campaign, spec, candidates)
    summaries = _summaries(database, campaign)
    status = campaign_status(database, QueuedIn.of(database), campaign)
    found = database.collection(CANDIDATES)
    details = [found.find_one({"key": key}, {"_id": False}) for key in best_keys(table, best)]
    return ReportContent(
        table=table,
        spec=spec,
        details=tuple(_detail(database, summary) for summary in details if summary is not None),
        failures=_failures(status),
        engines=_engines(summaries),
        corrections=dict(sorted(Counter(words for one in summaries for words in one.get("corrections") or []).items())),
        counts={
            stage: {STATES.get(state, state.lower()): count for state, count in counts.items() if count}
            for stage, counts in status.counts.items()
        },
        conductivities=tuple(conductivity for one in summaries for conductivity in _conductivities(one)),
        versions=_versions(),
        latest=max((record["completed_at"] for one in summaries for record in one["stages"].values()), default=""),
    )


def best_keys(table: CampaignTable, most: int) -> list[str]:
    """Return the keys of the best candidates: the best five by either score, then on by performance and cost."""
    if not table.ranked:
        return list(table.rows.loc[table.rows["stages_done"] > 0, "key"].head(most))
    chosen = [key for score in reversed(SCORES) for key in best_rows(table.rows, score, TOP)["key"]]
    chosen += best_rows(table.rows, "performance_cost", most)["key"].tolist()
    wanted = set(list(dict.fromkeys(chosen))[:most])
    return [key for key in table.rows["key"] if key in wanted]


def _summaries(database: Database, campaign: str) -> list[dict[str, Any]]:
    """Return of all candidates what is counted over them."""
    fields = ("engines", "corrections", "stages", "key", "formula", "cation_axis", "column", "cost_usd_per_kg")
    sigmas = [name for kind in _SIGMAS for name in kind.fields]
    wanted = {"_id": False, **dict.fromkeys((*fields, "aimd_temperature_k", *sigmas), True)}
    found = database.collection(CANDIDATES).find({"campaigns": campaign}, wanted)
    return sorted(found, key=lambda summary: summary["key"])


def _detail(database: Database, summary: dict[str, Any]) -> CandidateDetail:
    crystals = {}
    for stage, words in structures_of(summary).items():
        crystals[words] = read_structure(database, summary, stage)
    origins = tuple(_origin(database, summary, stage) for stage in summary["stages"])
    return CandidateDetail(summary, crystals, tuple(read_curves(database, summary)), origins)


def _origin(database: Database, summary: dict[str, Any], stage: str) -> StageOrigin:
    record = summary["stages"][stage]
    output = read_output(database, summary, stage, ("seed", "protocol.seed", "runs.seed"))
    seeds = [output.get("seed"), (output.get("protocol") or {}).get("seed")]
    seeds += [run.get("seed") for run in output.get("runs") or []]
    return StageOrigin(
        stage=stage,
        key=summary["stage_keys"].get(stage, ""),
        engine=summary["engines"].get(stage, ""),
        uuid=record["uuid"],
        index=record["index"],
        completed_at=record["completed_at"],
        seed=next((seed for seed in seeds if seed is not None), None),
    )


def _failures(status: CampaignStatus) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for failure in status.failures:
        found.setdefault(failure.key, {})[failure.stage] = failure.reason
    return found


def _engines(summaries: list[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for summary in summaries:
        for stage, engine in (summary.get("engines") or {}).items():
            found.setdefault(stage, set()).add(engine)
    return {stage: tuple(sorted(engines)) for stage, engines in found.items()}


def _conductivities(summary: Mapping[str, Any]) -> list[OurConductivity]:
    """Return the conductivities of a candidate, each with what it is of."""
    found = []
    for kind in _SIGMAS:
        value, low, high = (summary.get(name) for name in kind.fields)
        if value is not None:
            words = kind.words.format(temperature_k=summary.get("aimd_temperature_k") or math.nan)
            name = name_of(summary["cation_axis"], summary["column"])
            ends = None if low is None or high is None else (low, high)
            cost = summary.get("cost_usd_per_kg")
            found.append(OurConductivity(name, summary["formula"], words, value, ends, cost))
    return found


def _versions() -> dict[str, str]:
    found = {"lzc-flows": version("lzc-flows"), "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
