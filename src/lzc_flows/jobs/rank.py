"""The ranking job: the candidates of a campaign in MongoDB to a ranked table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jobflow import Maker, job

from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.stores import Database, connect
from lzc_flows.database.table import ranking_table
from lzc_flows.documents.ranking import RankingDoc
from lzc_flows.errors import InputError
from lzc_flows.ranking.assessment import assess
from lzc_flows.ranking.explain import Part, explain
from lzc_flows.ranking.spec import RankingSpec, Score


@dataclass
class RankMaker(Maker):
    """Rank a campaign's candidates.

    Parameters
    ----------
    name
        Name of the job.
    ranking
        Criteria, weights, normalisation.
    """

    name: str = "rank"
    ranking: RankingSpec = field(default_factory=RankingSpec)

    @job(output_schema=RankingDoc, data=["rows", "sensitivity"])
    def make(self, campaign: str, prev_dir: str | Path | None = None) -> RankingDoc:
        """Return the ranking as it follows from the database now; what is long goes to the data store.

        Parameters
        ----------
        campaign
            Name of a submitted campaign.
        prev_dir
            Not used; here for the signature that Makers share.
        """
        database = connect()
        build_candidates(database)
        return rank_campaign(database, campaign, self.ranking)


def rank_campaign(database: Database, campaign: str, spec: RankingSpec) -> RankingDoc:
    """Return the ranking: a pure function of the candidates in the database and of the settings."""
    return ranking_document(campaign, _candidates(database, campaign), spec)


def campaign_fingerprint(database: Database, campaign: str, spec: RankingSpec) -> str:
    """Return the fingerprint that the ranking will have, without ranking."""
    return fingerprint(_candidates(database, campaign), spec)


def _candidates(database: Database, campaign: str) -> pd.DataFrame:
    table = ranking_table(database, campaign)
    if table.empty:
        raise InputError(f"campaign {campaign!r}: no candidates in the database; submit it first")
    return table


def ranking_document(campaign: str, table: pd.DataFrame, spec: RankingSpec) -> RankingDoc:
    """Return the ranking of a table as `ranking_table` has it."""
    found = assess(table, spec)
    return RankingDoc(
        campaign=campaign,
        ranking=spec.model_dump(mode="json"),
        fingerprint=fingerprint(table, spec),
        tiers=found.tiers,
        sensitivity=found.sensitivity,
        rows=_rows(found.table),
    )


def explain_candidate(document: RankingDoc, score: Score, summary: Mapping[str, Any]) -> list[Part]:
    """Return what a candidate's score is made of, down to the task documents.

    Parameters
    ----------
    document
        A ranking that holds the candidate.
    score
        Which score.
    summary
        The candidate's summary.

    Raises
    ------
    InputError
        The candidate is not of the ranking's campaign.
    """
    row = next((row for row in document.rows if row["key"] == summary["key"]), None)
    if row is None:
        raise InputError(f"candidate {summary['key']!r}: not in campaign {document.campaign!r}")
    documents = {stage: record["uuid"] for stage, record in summary["stages"].items()}
    return explain(row, score, RankingSpec(**document.ranking), documents)


def fingerprint(table: pd.DataFrame, spec: RankingSpec) -> str:
    """Return a checksum of what a ranking follows from."""
    text = table.sort_values("key").to_csv(index=False) + spec.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ranked_table(document: RankingDoc) -> pd.DataFrame:
    """Return a ranking document's rows as `ranking.assessment.assess` returns them."""
    table = pd.DataFrame(document.rows)
    kinds = {name: _WORDS.get(name, "Int64" if name.startswith("rank_") else "float") for name in table.columns}
    return table.astype(kinds)


_WORDS = {
    **dict.fromkeys(("key", "cation", "column", "tier", "stability", "missing", "why_missing"), "str"),
    "pareto": "boolean",
}
"""Kinds of the columns that are no numbers."""


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows of plain Python values, None where missing."""
    names = table.columns.tolist()  # a list: each walk along an index of pandas is slow
    columns = [
        [
            None if lacks else value
            for value, lacks in zip(table[name].tolist(), table[name].isna().tolist(), strict=True)
        ]
        for name in names
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
