"""The ranking job: the candidates of a campaign in MongoDB to a ranked table."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jobflow import Maker, job

from lzc_flows.database.candidates import build_candidates
from lzc_flows.database.queries import ranking_table
from lzc_flows.database.stores import Database, connect
from lzc_flows.documents.ranking import RankingDoc
from lzc_flows.errors import InputError
from lzc_flows.ranking.score import RankingSpec, rank


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

    @job(output_schema=RankingDoc)
    def make(self, campaign: str, prev_dir: str | Path | None = None) -> RankingDoc:
        """Return the ranking as it follows from the database now.

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
    table = ranking_table(database, campaign)
    if table.empty:
        raise InputError(f"campaign {campaign!r}: no candidates in the database; submit it first")
    ranked = rank(table, spec)
    return RankingDoc(
        campaign=campaign,
        ranking=spec.model_dump(mode="json"),
        fingerprint=fingerprint(table, spec),
        rows=[_row(row) for row in ranked.to_dict(orient="records")],
    )


def fingerprint(table: pd.DataFrame, spec: RankingSpec) -> str:
    """Return a checksum of what a ranking follows from."""
    text = table.sort_values("key").to_csv(index=False) + spec.model_dump_json()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def ranked_table(document: RankingDoc) -> pd.DataFrame:
    """Return a ranking document's rows as `ranking.score.rank` returns them."""
    table = pd.DataFrame(document.rows)
    ranks = [name for name in table.columns if name.startswith("rank_")]
    numbers = [name for name in table.columns if name not in {"key", "cation", "column", "missing", *ranks}]
    return table.astype(dict.fromkeys(ranks, "Int64") | dict.fromkeys(numbers, float))


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a row of plain Python numbers, None where missing."""
    return {name: None if pd.isna(value) else _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
