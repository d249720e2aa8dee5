"""The document of a ranking."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lzc_flows.documents.base import Document


class RankingDoc(Document):
    """A ranking of a campaign's candidates, with every component of every score."""

    campaign: str = Field(description="Name of the campaign.")
    ranking: dict[str, Any] = Field(description="Criteria, weights and normalisation.")
    fingerprint: str = Field(description="Checksum of the candidates' numbers and of the ranking's settings.")
    rows: list[dict[str, Any]] = Field(
        description="Best first: identity, raw values, normalised values, shares of each score, scores, ranks."
    )
