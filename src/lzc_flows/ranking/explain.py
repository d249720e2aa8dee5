"""What the score of a candidate is made of, down to the documents that its numbers come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lzc_flows.ranking.criteria import COST, CRITERIA
from lzc_flows.ranking.tiers import spec_at

if TYPE_CHECKING:
    from lzc_flows.ranking.criteria import Tier
    from lzc_flows.ranking.spec import RankingSpec, Score


@dataclass(frozen=True)
class Part:
    """What a criterion adds to a score.

    Attributes
    ----------
    criterion, label, unit, tier
        As in `lzc_flows.ranking.criteria`.
    value
        In that unit; None where missing, +inf where nothing percolates.
    low, high
        Ends of its 68 % interval, None where no uncertainty is known.
    uncertainty
        Where the uncertainty is from.
    normalised
        0 to 1, among the candidates of the candidate's tier; None where it is missing or not weighed there.
    weight
        In the score at the candidate's tier; 0 where not weighed there.
    contribution
        Weight times normalised value; a score is the sum of its parts' contributions. None where there is none.
    document
        UUID of the task document that the value is from; None of the cost, which follows from formula and prices.
    """

    criterion: str
    label: str
    unit: str
    tier: Tier
    value: float | None
    low: float | None
    high: float | None
    uncertainty: str
    normalised: float | None
    weight: float
    contribution: float | None
    document: str | None


def explain(row: Mapping[str, Any], score: Score, spec: RankingSpec, documents: Mapping[str, str]) -> list[Part]:
    """Return the parts of a candidate's score, in the order of the weights.

    Parameters
    ----------
    row
        The candidate in the table of `lzc_flows.ranking.assessment.assess`.
    score
        Which of its scores.
    spec
        The campaign's.
    documents
        UUID of the candidate's task document by stage.
    """
    weights = spec_at(spec, row["tier"]).weights(score) if row["tier"] else {}
    return [_part(row, name, weights.get(name, 0.0), spec, documents) for name in spec.weights(score)]


def _part(row: Mapping[str, Any], name: str, weight: float, spec: RankingSpec, documents: Mapping[str, str]) -> Part:
    criterion = CRITERIA[name]
    normalised = _known(row[f"{name}_normalised"])
    weighed = weight > 0 and normalised is not None
    return Part(
        criterion=name,
        label=criterion.label,
        unit=criterion.unit,
        tier=criterion.tier,
        value=_known(row[name]),
        low=_known(row[f"{name}_low"]),
        high=_known(row[f"{name}_high"]),
        uncertainty=spec.uncertainty_of(name).reason,
        normalised=normalised if weighed else None,
        weight=weight,
        contribution=weight * normalised if weighed and normalised is not None else None,
        document=None if criterion is COST else documents.get(criterion.stage),
    )


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
