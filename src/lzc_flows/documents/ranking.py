"""The document of a ranking."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lzc_flows.documents.base import Document


class RankingDoc(Document):
    """A ranking of a campaign's candidates, with every component of every score and how certain it is."""

    campaign: str = Field(description="Name of the campaign.")
    ranking: dict[str, Any] = Field(description="Criteria, weights and normalisation.")
    fingerprint: str = Field(description="Checksum of the candidates' numbers and of the ranking's settings.")
    tiers: list[dict[str, Any]] = Field(
        default_factory=list, description="For each tier, the shallowest first: candidates and weights of both scores."
    )
    sensitivity: list[dict[str, Any]] = Field(
        default_factory=list,
        description="For each tier, who wins for which share of all weights and cost weights; kept in the data store.",
    )
    rows: list[dict[str, Any]] = Field(
        description="Best first: identity, tier, raw values with intervals, normalised values, shares of each score, "
        "scores, ranks with intervals, probabilities, what is missing and why; kept in the data store."
    )
