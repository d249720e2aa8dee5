"""A campaign's candidates, read from the plan and the summaries in two scans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lzc_flows.database.plans import campaign_document
from lzc_flows.database.stores import CANDIDATES, PLAN, Database
from lzc_flows.ranking.criteria import CRITERIA, UNCERTAINTY_COLUMNS
from lzc_flows.ranking.tiers import DONE, STABILITY
from lzc_flows.report.candidates import IDENTITY, CampaignTable, scored

_KNOWN = tuple(dict.fromkeys((*CRITERIA, *UNCERTAINTY_COLUMNS)))
"""Numbers of a summary that the table holds."""


def read_table(database: Database, campaign: str) -> CampaignTable:
    """Return a campaign's candidates as the database has them, with scores and ranks.

    Raises
    ------
    InputError
        No such campaign.
    """
    spec = campaign_document(database, campaign)["spec"]
    return scored(campaign, spec, read_candidates(database, campaign, spec))


def read_candidates(database: Database, campaign: str, spec: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a candidate, as `lzc_flows.report.candidates.scored` takes them."""
    stages = [name for name, stage in (spec.get("stages") or {}).items() if stage is not None]
    plan = database.collection(PLAN).find(
        {"campaigns": campaign}, {"_id": False, **dict.fromkeys(("key", "cation_axis", "column", "formula"), True)}
    )
    wanted = [*_KNOWN, STABILITY, *(f"stages.{stage}.index" for stage in stages)]
    known = {
        summary["key"]: summary
        for summary in database.collection(CANDIDATES).find(
            {"campaigns": campaign}, {"_id": False, "key": True, **dict.fromkeys(wanted, True)}
        )
    }
    table = pd.DataFrame([_row(entry, known.get(entry["key"], {})) for entry in plan])
    table = table.reindex(columns=[*IDENTITY, DONE, "stages_done", STABILITY, *_KNOWN])
    for name in _KNOWN:
        table[name] = pd.to_numeric(table[name], errors="coerce").astype(float)
    return table


def _row(plan: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "key": plan["key"],
        "cation": str(plan.get("cation_axis")),
        "column": str(plan.get("column")),
        "formula": str(plan.get("formula")),
        DONE: ";".join(known.get("stages") or {}),
        "stages_done": len(known.get("stages") or {}),
        STABILITY: known.get("stability"),
        **{name: known.get(name) for name in _KNOWN},
    }
